"""`GET /api/me`: readers who ask at the same time are looked up by one statement."""

from collections.abc import Sequence

from sqlmodel import Session

from service.api.readers import reader_shown
from service.domain.people import Reader
from service.hot.call import NO_STORE, Answer, Call, OrdinaryPath, json_answer
from service.hot.group_commit import GroupCommit
from service.store.readers import readers

ReaderGroup = GroupCommit[bytes, Reader]


def find_readers(session: Session, hashes: Sequence[bytes]) -> Sequence[Reader | None]:
    """Return the readers by their tokens' hashes."""
    by_hash = readers.by_tokens(session, hashes)
    return [by_hash.get(digest) for digest in hashes]


class ReaderCalls:
    """Answers for a reader's own settings."""

    def __init__(self, lookups: ReaderGroup) -> None:
        self._lookups = lookups

    async def show(self, call: Call) -> Answer:
        """Show the reader's settings."""
        reader = await self._lookups.submit(call.token_hash())
        if reader is None:
            raise OrdinaryPath
        return json_answer(200, reader_shown(reader), NO_STORE)
