"""`POST /api/receipts`: those that wait together are merged by batch and written once."""

import re
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread
from pydantic import TypeAdapter
from sqlmodel import Session

from service.api.receipts import ItemsTaken, ReceiptBody, ReceiptItems, ReceiptsIn, read_receipts
from service.domain import receipt
from service.hot.call import JSON, NO_CONTENT, Answer, Call, OrdinaryPath, json_answer
from service.hot.group_commit import GroupCommit
from service.store.readers import receipt_groups
from service.store.readers.receipts import Mark, MarkedPlace, merge

ReceiptGroup = GroupCommit[Sequence[MarkedPlace], bool]
MOST_ON_LOOP = 50
"""Receipts of one call that the event loop reads itself, 5 us each."""
READING_THREADS = 1
"""Threads that read the calls with more, so that a flood of them keeps no thread from others."""
_BODY: TypeAdapter[ReceiptBody | ReceiptItems] = TypeAdapter(ReceiptsIn)
_ONE = re.compile(rb'\{ ?"receipt": ?"([\w-]{1,64})", ?"kind": ?"(shown|opened)" ?\}')
"""One receipt as nearly all devices write it; what it does not match is read as any body is."""
_MARKS = {mark.value.encode(): mark for mark in Mark}


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
        self._threads = anyio.CapacityLimiter(READING_THREADS)

    async def take(self, call: Call) -> Answer:
        """Record one receipt, or many."""
        usual = _ONE.fullmatch(call.body)
        if usual is not None and call.headers.get(b"content-type") in JSON:
            return await self._take_one(call, usual[1].decode(), _MARKS[usual[2]])
        body = call.read(_BODY)
        receipts, refusals = await self._read(call, body)
        if receipts and not await call.wait_for(self._group.submit(receipts, len(receipts))):
            raise OrdinaryPath
        if isinstance(body, ReceiptBody):
            return NO_CONTENT
        return json_answer(200, ItemsTaken(accepted=len(receipts), refusals=refusals))

    async def _read(
        self, call: Call, body: ReceiptBody | ReceiptItems
    ) -> tuple[list[MarkedPlace], list[int]]:
        """Read receipts as `read_receipts`; many of them in a thread, for each takes its time."""
        if isinstance(body, ReceiptBody) or len(body.items) <= MOST_ON_LOOP:
            return read_receipts(self._secrets, body)
        reading = anyio.to_thread.run_sync(
            read_receipts, self._secrets, body, limiter=self._threads
        )
        return await call.wait_for(reading)

    async def _take_one(self, call: Call, token: str, mark: Mark) -> Answer:
        place = receipt.read(self._secrets, token)
        if not await call.wait_for(self._group.submit([(*place, mark)])):
            raise OrdinaryPath
        return NO_CONTENT
