"""Header blocks of answers, which may come in several frames (RFC 9113, sections 4.3 and 6.10)."""

from collections.abc import Mapping

from workers.gateway.http2 import frames
from workers.gateway.http2.frames import Frame, ProtocolError
from workers.gateway.http2.header_compression import AnswerDecoder

LONGEST_BLOCK = frames.DEFAULT_FRAME_SIZE
"""Bytes. Providers' blocks take hundreds; each answer keeps its own until it was read."""

Block = tuple[int, Mapping[str, str], bool]
"""Status (0 for trailers), headers, and whether the stream ends with them."""


class HeaderBlocks:
    """The header blocks of one connection, in the order in which they come."""

    def __init__(self) -> None:
        self.decode = AnswerDecoder().decode
        """Decodes a block that came whole."""
        self.is_open = False
        """Whether the next frame must continue a block."""
        self._number = 0
        self._ends_stream = False
        self._fragments = b""

    def add(self, frame: Frame) -> Block | None:
        """Take a HEADERS or CONTINUATION frame; returns the block when it is whole."""
        kind, flags, number, payload = frame
        if kind == frames.HEADERS:
            self._number = number
            self._ends_stream = bool(flags & frames.END_STREAM)
            self._fragments = frames.plain_payload(kind, flags, payload)
        elif not self.is_open or self._number != number:
            raise ProtocolError("a continuation of nothing")
        else:
            self._fragments += payload
        if len(self._fragments) > LONGEST_BLOCK:
            raise ProtocolError("headers without end", frames.ENHANCE_YOUR_CALM)
        self.is_open = not flags & frames.END_HEADERS
        if self.is_open:
            return None
        return *self.decode(self._fragments), self._ends_stream
