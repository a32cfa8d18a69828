"""The files of uploaded pictures. What an address leads to never changes, so all may keep it."""

from collections import OrderedDict
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from fastapi import Request, Response
from sqlalchemy import Engine

from service.domain.errors import no_such
from service.domain.media.pictures import is_file_name, media_type_of
from service.http.admission import run_admitted
from service.http.api_document import Router
from service.http.limits.call_turn import end_turn
from service.http.limits.fair_limiter import overloaded
from service.media.storage import PictureStorage
from service.store.session import transaction
from service.store.stories import pictures
from service.web.rendering import IMMUTABLE

router = Router(in_document=False)
MAX_CACHED_BYTES = 32 * 1024 * 1024
MAX_FILE_BYTES = MAX_CACHED_BYTES // 8
READS_AT_ONCE = 4
MOST_WAITING = 64


def open_threads() -> anyio.CapacityLimiter:
    """Return the threads of one process that read files elsewhere."""
    return anyio.CapacityLimiter(READS_AT_ONCE)


@dataclass(slots=True)
class PictureCache:
    """The files that one process answers from memory; the least recently requested go first."""

    weight: int = 0
    _files: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    def get(self, name: str) -> bytes | None:
        """Return a file that was requested lately."""
        content = self._files.get(name)
        if content is not None:
            self._files.move_to_end(name)
        return content

    def keep(self, name: str, content: bytes) -> None:
        """Remember a file, unless it is too large."""
        if name in self._files or len(content) > MAX_FILE_BYTES:
            return
        self._files[name] = content
        self.weight += len(content)
        while self.weight > MAX_CACHED_BYTES:
            _, oldest = self._files.popitem(last=False)
            self.weight -= len(oldest)


@router.api_route("/media/{name}", methods=["GET", "HEAD"])
async def picture_file(request: Request, name: str) -> Response:
    """Return one size of a picture in one format."""
    if not is_file_name(name):
        raise no_such("picture")
    headers = {"Cache-Control": IMMUTABLE, "ETag": f'"{name}"', "X-Content-Type-Options": "nosniff"}
    if f'"{name}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    cache: PictureCache = request.app.state.picture_cache
    content = cache.get(name)
    if content is None:
        content = await run_admitted(request, _read, request.app.state.engine, name)
        content = content or await _read_elsewhere(request, name)
        cache.keep(name, content)
    return Response(content, headers=headers, media_type=media_type_of(name))


def _read(engine: Engine, name: str) -> bytes | None:
    """Return a file that stands in PostgreSQL; raises `NotFound` without such a picture."""
    with transaction(engine) as session:
        content = pictures.read_file(session, name)
        if content is None and not pictures.many(session, [name.partition("-")[0]]):
            raise no_such("picture")
    return content


async def _read_elsewhere(request: Request, name: str) -> bytes:
    """Return a file that stands elsewhere. That may be slow: it takes no slot, and few wait."""
    storage: PictureStorage | None = request.app.state.pictures_elsewhere
    threads: anyio.CapacityLimiter = request.app.state.picture_reads
    if storage is None:
        raise no_such("picture")
    if threads.statistics().tasks_waiting >= MOST_WAITING:
        raise overloaded()
    end_turn(request.scope)
    content = await anyio.to_thread.run_sync(storage.read, name, limiter=threads)
    if content is None:
        raise no_such("picture")
    return content
