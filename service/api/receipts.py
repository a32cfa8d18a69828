"""Receipts: a device reports that a push was shown or opened."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Discriminator, FailFast, Field, Tag

from service.domain import receipt
from service.domain.errors import Forbidden
from service.http.api_document import Router
from service.http.dependencies import Closed, Line, SettingsDep, WorkDep, at_most
from service.store.readers import receipts as store
from service.store.readers.receipts import Mark, MarkedPlace

MAX_ITEMS = 500
router = Router(prefix="/api/receipts", tags=["devices"])


class ReceiptBody(Closed):
    """The signed token from the push's data, and whether the push was shown or opened."""

    receipt: Annotated[Line, Field(min_length=1)]
    kind: Mark


class ReceiptItems(Closed):
    """Many receipts at once, as a device that was offline or a relay hands them in."""

    items: Annotated[list[ReceiptBody], FailFast(), at_most(MAX_ITEMS), Field(max_length=MAX_ITEMS)]


class ItemsTaken(BaseModel):
    """How many receipts were recorded, and which were not: the indexes of tokens not ours."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    accepted: int
    refusals: list[int] = Field(alias="refused")


def _form(value: object) -> str:
    return "[many]" if isinstance(value, dict) and "items" in value else "[one]"


ReceiptsIn = Annotated[
    Annotated[ReceiptBody, Tag("[one]")] | Annotated[ReceiptItems, Tag("[many]")],
    Discriminator(_form),
]
"""One receipt or many; the tags are left out where a wrong field is named."""


@router.post(
    "",
    status_code=204,
    responses={200: {"description": "Many were taken", "model": ItemsTaken}},
    response_model=None,
)
def take_receipts(work: WorkDep, settings: SettingsDep, body: ReceiptsIn) -> Response:
    """Record one receipt, or up to 500 as `items`; a repeated one changes nothing.

    A token that we did not sign is refused with 403; among many it is left out and named.
    """
    receipts, refusals = read_receipts(settings.signing_secrets, body)
    store.add_marks(work.session, store.merge(receipts))
    if isinstance(body, ReceiptBody):
        return Response(status_code=204)
    answer = ItemsTaken(accepted=len(receipts), refusals=refusals)
    return Response(answer.model_dump_json(), media_type="application/json")


def read_receipts(
    secrets: Sequence[bytes], body: ReceiptBody | ReceiptItems
) -> tuple[list[MarkedPlace], list[int]]:
    """Return the places that signed tokens name, and the indexes of items that are not ours.

    Raises `Forbidden` for a single one that is not ours.
    """
    if isinstance(body, ReceiptBody):
        return [(*receipt.read(secrets, body.receipt), body.kind)], []
    receipts: list[MarkedPlace] = []
    refusals: list[int] = []
    for index, item in enumerate(body.items):
        try:
            receipts.append((*receipt.read(secrets, item.receipt), item.kind))
        except Forbidden:
            refusals.append(index)
    return receipts, refusals
