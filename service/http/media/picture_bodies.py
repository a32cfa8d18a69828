"""An uploaded picture on its way in: its bytes out of the body, and its sizing in a thread.

A picture is decoded, and written elsewhere, in threads of its own, two at once in a process, so
that uploads take neither the slots nor the memory of other calls.
"""

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.actions.media import uploads
from service.domain.errors import Invalid, Unavailable
from service.domain.media.pictures import StoredPicture
from service.domain.people import Caller
from service.http.admission import run_admitted
from service.http.body_limit import MAX_PICTURE_BYTES
from service.http.dependencies import limit
from service.media.picture_sizes import FIELD, SizedPicture, size_picture

PER_MINUTE = 60
MOST_AT_ONCE = 2
MOST_WAITING = 8
RETRY_AFTER_S = 5


def open_threads() -> anyio.CapacityLimiter:
    """Return the threads of one process that decode pictures."""
    return anyio.CapacityLimiter(MOST_AT_ONCE)


class _InMemory(MultiPartParser):
    """Keeps files in memory: they are bounded, and some hosts have no disk to write to."""

    spool_max_size = MAX_PICTURE_BYTES


async def take_picture(request: Request, caller: Caller) -> tuple[StoredPicture, bool]:
    """Return the picture that a request brings, and whether it is new. It is stored then."""
    source = await _read_source(request)
    state = request.app.state
    earlier = await run_admitted(request, _known_picture, request, caller, source)
    if earlier is not None:
        return earlier, False
    sizes = await _size(state.picture_threads, source)
    files = uploads.name_files(source, sizes)
    if state.pictures_elsewhere is not None:
        add = state.pictures_elsewhere.add
        await anyio.to_thread.run_sync(add, files, limiter=state.picture_threads)
        files = {}
    picture = await run_admitted(
        request, uploads.keep_picture, state.engine, source, sizes, files, caller
    )
    return picture, True


def _known_picture(request: Request, caller: Caller, source: bytes) -> StoredPicture | None:
    limit(request, "pictures", caller.name, PER_MINUTE)
    return uploads.known_picture(request.app.state.engine, source)


async def _read_source(request: Request) -> bytes:
    """Return the bytes: the body itself, or the part `picture` of a form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    parser = _InMemory(request.headers, request.stream(), max_files=1, max_fields=4)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Invalid(FIELD, f"The form cannot be read: {error.message}") from None
    part = form.get(FIELD)
    if not isinstance(part, UploadFile):
        raise Invalid(FIELD, f"The form has no file named {FIELD}.")
    try:
        return await part.read()
    finally:
        await form.close()


async def _size(threads: anyio.CapacityLimiter, source: bytes) -> SizedPicture:
    """Size it when a thread is free; raises `Unavailable` when too many wait for one."""
    if threads.statistics().tasks_waiting >= MOST_WAITING:
        raise Unavailable("Too many pictures are uploaded at once: try again.", RETRY_AFTER_S)
    return await anyio.to_thread.run_sync(size_picture, source, limiter=threads)
