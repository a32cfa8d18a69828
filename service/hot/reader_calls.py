"""Readers: looked up, and made, in groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlmodel import Session
from starlette.requests import HTTPConnection

from service.actions import readers as reader_actions
from service.api.readers import NewReader, NewToken, reader_shown
from service.domain.people import Reader, hash_token
from service.hot.call import NO_STORE, Answer, Call, OrdinaryPath, json_answer
from service.hot.group_commit import GroupCommit
from service.http.dependencies import REGISTRATIONS, limited_address
from service.http.forwarded import of_caller
from service.http.limits.rate_limit import Throttle
from service.settings import Network
from service.store.readers import readers

_BODY: TypeAdapter[NewReader | None] = TypeAdapter(NewReader | None)


@dataclass(frozen=True, slots=True)
class NewcomerCall:
    """A new reader, the hash of its token, and the address by which it is counted."""

    reader: Reader
    token_hash: bytes
    address: str | None


LookupGroup = GroupCommit[bytes, Reader]
NewcomerGroup = GroupCommit[NewcomerCall, bool]


def find_readers(session: Session, hashes: Sequence[bytes]) -> Sequence[Reader | None]:
    """Return the readers by their tokens' hashes."""
    by_hash = readers.by_tokens(session, hashes)
    return [by_hash.get(digest) for digest in hashes]


def newcomer_writer(
    throttle: Throttle, per_minute: int
) -> Callable[[Session, Sequence[NewcomerCall]], Sequence[bool | None]]:
    """Return what keeps new readers, but for those whose address brought too many."""

    def write(session: Session, calls: Sequence[NewcomerCall]) -> Sequence[bool | None]:
        results = [
            call.address is None or throttle.hit(REGISTRATIONS, call.address, per_minute) is None
            for call in calls
        ]
        newcomers = [call for call, is_free in zip(calls, results, strict=True) if is_free]
        readers.add_group(session, [(call.reader, call.token_hash) for call in newcomers])
        return [is_free or None for is_free in results]

    return write


class ReaderCalls:
    """Answers for a reader's own settings."""

    def __init__(
        self,
        lookups: LookupGroup,
        newcomers: NewcomerGroup,
        proxies: Sequence[Network],
        *,
        results_by_default: bool,
    ) -> None:
        self._lookups = lookups
        self._newcomers = newcomers
        self._proxies = proxies
        self._results_by_default = results_by_default

    async def show(self, call: Call) -> Answer:
        """Show the reader's settings."""
        reader = await call.wait_for(self._lookups.submit(call.token_hash()))
        if reader is None:
            raise OrdinaryPath
        shown = reader_shown(reader, results=self._results_by_default)
        return json_answer(200, shown, NO_STORE)

    async def register(self, call: Call) -> Answer:
        """Create a reader."""
        settings = call.read_optional(_BODY) or NewReader()
        quiet_hours = settings.quiet_hours.read() if settings.quiet_hours else None
        accept_language = call.headers.get(b"accept-language", b"").decode("latin-1")
        languages = settings.read_languages(accept_language)
        reader, token = reader_actions.draw_reader(
            settings.language, settings.timezone, quiet_hours, languages
        )
        address = limited_address(HTTPConnection(of_caller(call.scope, self._proxies)))
        newcomer = NewcomerCall(reader, hash_token(token), address)
        if not await call.wait_for(self._newcomers.submit(newcomer)):
            raise OrdinaryPath
        return json_answer(201, NewToken(id=reader.id, token=token), NO_STORE)
