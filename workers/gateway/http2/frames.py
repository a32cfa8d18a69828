"""Frames (RFC 9113, sections 4 and 6): the few kinds that a client of short requests needs.

What is read here is checked here: sizes, streams and values that a frame must not have.
"""

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
MAX_FRAME_SIZE = 5

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0x0, 0x1, 0x3, 0x6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x7, 0x8, 0x9, 0xB

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

Frame = tuple[int, int, int, bytes]
"""Kind, flags, stream, payload."""


STREAM_KINDS = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION, PUSH_PROMISE})
"""Kinds that are about a stream, never about the connection."""
CONNECTION_KINDS = frozenset({SETTINGS, PING, GOAWAY})
"""Kinds that are about the connection, never about a stream."""
OPEN_STREAM_KINDS = frozenset({DATA, HEADERS, RST_STREAM, WINDOW_UPDATE, CONTINUATION})
"""Kinds that a server may send only on a stream that we opened."""
_SIZES = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_GOAWAY_SIZE = 8
_ALLOWED = {
    ENABLE_PUSH: (range(1), PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: (range(LARGEST_WINDOW + 1), FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: (range(DEFAULT_FRAME_SIZE, 2**24), PROTOCOL_ERROR),
}


class ProtocolError(Exception):
    """The server does not keep to the protocol; `code` is the error code of section 7."""

    def __init__(self, reason: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    size = len(payload)
    return pack_head(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_PAIR.pack(*pair) for pair in pairs))


def split(buffer: bytes, frames: list[Frame]) -> bytes:
    """Cut the buffer into frames (4.1); returns what is left over."""
    unpack = _HEAD.unpack_from
    offset, end = 0, len(buffer)
    while offset + HEAD_SIZE <= end:
        high, low, kind, flags, stream = unpack(buffer, offset)
        size = high << 8 | low
        if size > DEFAULT_FRAME_SIZE:
            raise ProtocolError("a frame is longer than we allow", FRAME_SIZE_ERROR)
        after = offset + HEAD_SIZE + size
        if after > end:
            break
        frames.append((kind, flags, stream & LAST_STREAM, buffer[offset + HEAD_SIZE : after]))
        offset = after
    return buffer[offset:]


def read_settings(payload: bytes) -> dict[int, int]:
    """Return the values of a SETTINGS frame (6.5); of a repeated one the last."""
    if len(payload) % _PAIR.size:
        raise ProtocolError("SETTINGS of a wrong size", FRAME_SIZE_ERROR)
    pairs = list(_PAIR.iter_unpack(payload))
    for setting, value in pairs:
        bounds, code = _ALLOWED.get(setting, (None, 0))
        if bounds is not None and value not in bounds:
            raise ProtocolError("a setting has a value that it must not have", code)
    return dict(pairs)


def read_word(payload: bytes) -> int:
    """Return the first four bytes as a number."""
    if len(payload) < _WORD.size:
        raise ProtocolError("a frame is too short", FRAME_SIZE_ERROR)
    word: int = _WORD.unpack_from(payload)[0]
    return word


def read_goaway(payload: bytes) -> tuple[int, int]:
    """Return the last stream that a GOAWAY names, and its error code (6.8)."""
    return read_word(payload) & LAST_STREAM, read_word(payload[_WORD.size :])


def pack_goaway(code: int) -> bytes:
    """Return the payload of our GOAWAY: the server has opened no stream."""
    return pack_word(0) + pack_word(code)


def check(kind: int, flags: int, number: int, payload: bytes) -> None:
    """Raise ProtocolError for a frame on a wrong stream or of a wrong size (6.1 to 6.10)."""
    if (kind in STREAM_KINDS and not number) or (kind in CONNECTION_KINDS and number):
        raise ProtocolError("a frame is on a stream where it must not be")
    size = len(payload)
    wrong = size != _SIZES.get(kind, size) or (kind == GOAWAY and size < _GOAWAY_SIZE)
    if wrong or (kind == SETTINGS and flags & ACK and size):
        raise ProtocolError("a frame is of a wrong size", FRAME_SIZE_ERROR)


def plain_payload(kind: int, flags: int, payload: bytes) -> bytes:
    """Return the payload without padding and priority (6.1, 6.2)."""
    begin, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise ProtocolError("padding without a length", FRAME_SIZE_ERROR)
        begin, end = 1, end - payload[0]
    if kind == HEADERS and flags & WITH_PRIORITY:
        begin += _PRIORITY_SIZE
    if begin > end:
        raise ProtocolError("more padding than frame")
    return payload[begin:end]
