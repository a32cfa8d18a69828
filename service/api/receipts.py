"""Receipts: a device reports that a push was shown or opened."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service.domain import receipt
from service.http.dependencies import Closed, Line, SettingsDep, WorkDep
from service.store.readers import receipts
from service.store.readers.receipts import Mark

router = APIRouter(prefix="/api/receipts", tags=["devices"])


class ReceiptBody(Closed):
    """The signed token from the push's data, and whether the push was shown or opened."""

    receipt: Annotated[Line, Field(min_length=1)]
    kind: Mark


@router.post("", status_code=204)
def take_receipt(work: WorkDep, settings: SettingsDep, body: ReceiptBody) -> None:
    """Record a receipt; a repeated one changes nothing. A token that we did not sign is refused."""
    place = receipt.read(settings.secret_key.encode(), body.receipt)
    receipts.add_mark(work.session, *place, body.kind)
