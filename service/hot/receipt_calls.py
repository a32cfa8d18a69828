"""`POST /api/receipts`: those that wait together are merged by batch and written once."""

from collections.abc import Callable, Sequence

from pydantic import TypeAdapter
from sqlmodel import Session

from service.api.receipts import ItemsTaken, ReceiptBody, ReceiptItems, ReceiptsIn, read_receipts
from service.hot.call import NO_CONTENT, Answer, Call, OrdinaryPath, json_answer
from service.hot.group_commit import GroupCommit
from service.store.readers import receipt_groups
from service.store.readers.receipts import MarkedPlace, merge

ReceiptGroup = GroupCommit[Sequence[MarkedPlace], bool]
_BODY: TypeAdapter[ReceiptBody | ReceiptItems] = TypeAdapter(ReceiptsIn)


def receipt_writer() -> Callable[[Session, Sequence[Sequence[MarkedPlace]]], Sequence[bool]]:
    """Return what notes what the devices said, each batch's row once."""
    rows = receipt_groups.ReceiptRows()

    def write(session: Session, items: Sequence[Sequence[MarkedPlace]]) -> Sequence[bool]:
        rows.add_marks(session, merge(receipt for receipts in items for receipt in receipts))
        return [True] * len(items)

    return write


class ReceiptCalls:
    """Answers for receipts."""

    def __init__(self, secrets: Sequence[bytes], group: ReceiptGroup) -> None:
        self._secrets = secrets
        self._group = group

    async def take(self, call: Call) -> Answer:
        """Record one receipt, or many."""
        body = call.read(_BODY)
        receipts, refusals = read_receipts(self._secrets, body)
        if receipts and not await self._group.submit(receipts, len(receipts)):
            raise OrdinaryPath
        if isinstance(body, ReceiptBody):
            return NO_CONTENT
        return json_answer(200, ItemsTaken(accepted=len(receipts), refusals=refusals))
