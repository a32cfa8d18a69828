"""HTTP/2 frames (RFC 9113): the few kinds that a client of short requests needs."""

import struct
from collections.abc import Iterator

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
MAX_FRAME_SIZE = 5

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0x0, 0x1, 0x3, 0x6
REFUSED_STREAM, CANCEL = 0x7, 0x8

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE = 9
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
LARGEST_WINDOW = 2**31 - 1
LAST_STREAM = 2**31 - 1
_HEAD = struct.Struct(">HBBBL")
_PAIR = struct.Struct(">HL")
_WORD = struct.Struct(">L")
_PRIORITY_SIZE = 5

pack_head = _HEAD.pack
pack_word = _WORD.pack


class BrokenFrame(Exception):
    """The other side does not keep to the protocol."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    size = len(payload)
    return pack_head(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_PAIR.pack(*pair) for pair in pairs))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the settings of a frame in their order."""
    if len(payload) % _PAIR.size:
        raise BrokenFrame("SETTINGS of a wrong size")
    yield from _PAIR.iter_unpack(payload)


def read_word(payload: bytes, at: int = 0) -> int:
    """Return four bytes as a number."""
    if len(payload) < at + _WORD.size:
        raise BrokenFrame("a frame is too short")
    word: int = _WORD.unpack_from(payload, at)[0]
    return word


def split(buffer: bytes, frames: list[tuple[int, int, int, bytes]]) -> bytes:
    """Cut the buffer into (kind, flags, stream, payload); returns what is left over."""
    unpack = _HEAD.unpack_from
    at, end = 0, len(buffer)
    while at + HEAD_SIZE <= end:
        high, low, kind, flags, stream = unpack(buffer, at)
        size = high << 8 | low
        if size > DEFAULT_FRAME_SIZE:
            raise BrokenFrame("a frame is longer than we allow")
        after = at + HEAD_SIZE + size
        if after > end:
            break
        frames.append((kind, flags, stream & LAST_STREAM, buffer[at + HEAD_SIZE : after]))
        at = after
    return buffer[at:]


def plain_payload(kind: int, flags: int, payload: bytes) -> bytes:
    """Return the payload without padding and priority."""
    begin, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise BrokenFrame("padding without a length")
        begin, end = 1, end - payload[0]
    if kind == HEADERS and flags & WITH_PRIORITY:
        begin += _PRIORITY_SIZE
    if begin > end:
        raise BrokenFrame("more padding than frame")
    return payload[begin:end]
