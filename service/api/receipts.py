"""What devices say themselves: a push was shown, or opened."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service.domain import receipt
from service.http.dependencies import Closed, Line, SettingsDep, WorkDep
from service.store.readers import receipts
from service.store.readers.receipts import Mark

router = APIRouter(prefix="/api/receipts", tags=["devices"])


class ReceiptBody(Closed):
    """The signed token that came in the push's data, and what became of the push."""

    receipt: Annotated[Line, Field(min_length=1)]
    kind: Mark


@router.post("", status_code=204)
def take(work: WorkDep, settings: SettingsDep, body: ReceiptBody) -> None:
    """Note it; again is the same as once. A token that is not ours is refused."""
    place = receipt.read(settings.secret_key.encode(), body.receipt)
    receipts.add_mark(work.session, *place, body.kind)
