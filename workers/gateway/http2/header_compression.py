"""HPACK (RFC 7541) for pushes: repeated header lines are one byte, answers are mostly not decoded.

A push differs from the last in its path and its id; all its other lines were sent before. A line
is put into the connection's dynamic table (2.3.2) when it is seen for the second time, and is an
index from then on (6.1). A full table is emptied by a size update (6.3) and filled again, so no
entry is ever evicted (4.4) and indexes only grow. Nothing is Huffman-coded (5.2).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import hpack

from workers.gateway.http2.frames import COMPRESSION_ERROR, DEFAULT_FRAME_SIZE, ProtocolError
from workers.gateway.origin import USER_AGENT

OUR_TABLE_SIZE = 0
"""What the other side may remember of its answers: nothing, so that each can be read by itself."""
LONGEST_LIST = 16 * 1024
"""Bytes of an answer's headers as RFC 9113, 6.5.2, counts them: an index of one byte may name a
line of four thousand."""
STATUS_DIGITS = 3
MOST_TABLE_SIZE = 4096
MOST_YOUNG = 512
_FIRST_DYNAMIC = 62
_ENTRY_OVERHEAD = 32
_POST, _GET, _HTTPS = b"\x83", b"\x82", b"\x87"
_METHOD, _AUTHORITY, _CONTENT_LENGTH = 2, 1, 28
_PATH_NAME = b"\x04"
_EMPTY_TABLE = b"\x20"
_AGENT = f"user-agent: {USER_AGENT}"
_STATUS_BY_BYTE = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
_SIZE_UPDATE_BITS, _SIZE_UPDATE = 0xE0, 0x20


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """Encode an integer with a prefix of so many bits (section 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((first | value,))
    out = bytearray((first | limit,))
    value -= limit
    while value >= 0x80:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_LENGTHS = tuple(integer(n, 7) for n in range(1024))
_SHORTER = len(_LENGTHS)


def text(value: bytes) -> bytes:
    """Encode a string without Huffman: a few bytes more, and nothing to compute."""
    size = len(value)
    return (_LENGTHS[size] if size < _SHORTER else integer(size, 7)) + value


@lru_cache(maxsize=4096)
def content_length(size: int) -> bytes:
    """Return the line that announces a body of this size."""
    return integer(_CONTENT_LENGTH, 4) + text(b"%d" % size)


class RequestEncoder:
    """The encoder of one connection's requests."""

    def __init__(self, authority: str) -> None:
        self._begin = {
            "POST": _POST + _HTTPS + integer(_AUTHORITY, 4) + text(authority.encode("ascii")),
            "GET": _GET + _HTTPS + integer(_AUTHORITY, 4) + text(authority.encode("ascii")),
        }
        self._authority = integer(_AUTHORITY, 4) + text(authority.encode("ascii"))
        self._encodings: dict[str, bytes] = {}
        self._young: dict[str, bytes] = {}
        self._order: list[str] = []
        """The lines in the dynamic table, the oldest first."""
        self._room = self._limit = MOST_TABLE_SIZE
        self._full = False
        """Whether the table is to be emptied before the next block."""

    def limit_table(self, table_size: int) -> None:
        """Keep to the table size that the other side announced."""
        limit = min(table_size, MOST_TABLE_SIZE)
        if limit != self._limit:
            self._limit = limit
            self._full = True

    def encode(self, method: str, path: str, lines: Sequence[str], size: int) -> bytes:
        """Return the header block of one request.

        Raises ValueError, AttributeError or TypeError for what is none, or too long for a frame.
        The table then has lines that never leave, so it is emptied before the next block.
        """
        encodings = self._encodings
        if " " in path or not path.isprintable():
            raise ValueError("not a path")
        try:
            parts = [
                self._empty_table() if self._full else b"",
                self._begin.get(method) or self._other_method(method),
                _PATH_NAME,
                text(path.encode("ascii")),
                encodings.get(_AGENT) or self._line(_AGENT),
            ]
            parts += [encodings.get(line) or self._line(line) for line in lines]
            if size or method != "GET":
                parts.append(content_length(size))
        except (ValueError, AttributeError, TypeError):
            self._full = True
            raise
        block = b"".join(parts)
        if len(block) > DEFAULT_FRAME_SIZE:
            self._full = True
            raise ValueError("headers too long")
        return block

    def _other_method(self, method: str) -> bytes:
        return integer(_METHOD, 4) + text(method.encode("ascii")) + _HTTPS + self._authority

    def _line(self, line: str) -> bytes:
        """Encode a line that has no index (yet)."""
        literal = self._young.pop(line, None)
        if literal is None:
            if len(self._young) >= MOST_YOUNG:
                self._young.clear()
            literal = self._young[line] = _literal(line)
            return b"\x00" + literal
        size = len(literal) + _ENTRY_OVERHEAD
        self._full = self._full or self._room < size <= self._limit
        if self._full or size > self._limit:
            self._young[line] = literal
            return b"\x00" + literal
        self._room -= size
        self._order.append(line)
        newest = len(self._order) - 1
        for place, each in enumerate(self._order):
            self._encodings[each] = integer(_FIRST_DYNAMIC + newest - place, 7, 0x80)
        return b"\x40" + literal

    def _empty_table(self) -> bytes:
        """Empty the table; returns the size updates that say so, before a block (4.2, 6.3)."""
        self._encodings.clear()
        self._order.clear()
        self._room = self._limit
        self._full = False
        return _EMPTY_TABLE + (integer(self._limit, 5, _SIZE_UPDATE) if self._limit else b"")


def _literal(line: str) -> bytes:
    """Encode name and value, without the first byte, which says what becomes of them."""
    name, colon, value = line.partition(":")
    if not colon or not line.isprintable():
        raise ValueError("not a header line")
    return _name(name) + text(value.strip().encode("ascii"))


@lru_cache(maxsize=256)
def _name(name: str) -> bytes:
    return text(name.strip().lower().encode("ascii"))


class AnswerDecoder:
    """The decoder of one connection's answers; mostly it need not decode.

    The other side was told to remember nothing. A server that follows says so at the beginning of
    its first block (section 4.2); with one that does not, every block is decoded as it comes.
    """

    def __init__(self) -> None:
        self._decoder: hpack.Decoder | None = None
        self._forgetful: bool | None = None

    def decode(self, block: bytes) -> tuple[int, Mapping[str, str]]:
        """Return status (0 for a trailer) and headers. Raises ProtocolError."""
        if self._forgetful is None:
            grows_again = len(block) > 1 and block[1] & _SIZE_UPDATE_BITS == _SIZE_UPDATE
            self._forgetful = block[:1] == _EMPTY_TABLE and not grows_again
            self._decoder = None if self._forgetful else hpack.Decoder(LONGEST_LIST)
        if self._decoder is not None:
            headers = _decode(self._decoder, block)
            return _status(headers), headers
        lazy = BlockHeaders(block)
        status = _STATUS_BY_BYTE.get(block[0]) if block else None
        return status or _status(lazy), lazy


class BlockHeaders(Mapping[str, str]):
    """The headers of a block that stands for itself, decoded when somebody asks."""

    __slots__ = ("_block", "_read")

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._read: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._read is None:
            decoder = hpack.Decoder(LONGEST_LIST)
            decoder.max_allowed_table_size = OUR_TABLE_SIZE
            decoder.header_table_size = OUR_TABLE_SIZE
            try:
                self._read = _decode(decoder, self._block)
            except ProtocolError:
                self._read = {}
        return self._read

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _decode(decoder: hpack.Decoder, block: bytes) -> dict[str, str]:
    try:
        headers = decoder.decode(block, raw=True)
    except hpack.HPACKError as error:
        raise ProtocolError("a header block cannot be read", COMPRESSION_ERROR) from error
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _status(headers: Mapping[str, str]) -> int:
    """Return the status, three digits (RFC 9110, section 15); 0 for a trailer, which has none."""
    status = headers.get(":status", "000")
    if not (len(status) == STATUS_DIGITS and status.isascii() and status.isdigit()):
        raise ProtocolError("a status is not a number of three digits")
    return int(status)
