"""How much a server may send: windows for bodies, and frames that bring no answer."""

from workers.gateway.http2 import frames
from workers.gateway.http2.frames import ProtocolError
from workers.gateway.http2.header_compression import OUR_TABLE_SIZE

STREAM_WINDOW = 1 << 20
"""How much of an answer's body may come unasked; no answer that we keep is longer."""
CONNECTION_WINDOW = 1 << 24
MOST_FRAMES_WITHOUT_ANSWER = 10_000
"""Frames that bring no answer: more of them are an attack (RFC 9113, 10.5)."""
FRAMES_FOR_ANSWER = 50
"""How many more of them each answer allows, up to that bound."""
BYTES_FOR_FRAME = 256
"""A frame beyond this size counts as one more for each time: its bytes are work too."""
SETTINGS_WEIGHT = 10
"""A SETTINGS frame changes the windows of all streams, and so counts as many."""
MOST_CANCELLED = 4_096
"""Cancelled streams that are remembered; frames on older ones bring no answer."""
LEAST_CHARGE = 256
"""What a frame takes from a cancelled stream's window at least: many tiny ones are an attack."""

GREETING = (
    frames.PREFACE
    + frames.settings(
        (frames.HEADER_TABLE_SIZE, OUR_TABLE_SIZE),
        (frames.ENABLE_PUSH, 0),
        (frames.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
    )
    + frames.frame(frames.WINDOW_UPDATE, 0, 0, frames.pack_word(CONNECTION_WINDOW))
)
"""What a client sends first (3.4): the preface and its limits."""


class ReceiveLimits:
    """What a server has used of its limits on one connection."""

    def __init__(self) -> None:
        self._uncredited = 0
        """Bytes of bodies since the connection's window was last widened."""
        self._frames_left = MOST_FRAMES_WITHOUT_ANSWER
        self._cancelled: dict[int, int] = {}
        """Cancelled streams by number, with what is left of their windows."""

    def credit(self, size: int) -> int:
        """Count bytes of a body; returns by how much the connection's window is to be widened.

        They count whether or not their stream is still open (6.9).
        """
        self._uncredited += size
        if self._uncredited <= CONNECTION_WINDOW // 2:
            return 0
        increment, self._uncredited = self._uncredited, 0
        return increment

    def count_frame(self, size: int = 0, weight: int = 1) -> None:
        """Count a frame that brings no answer. Raises ProtocolError for the one too many."""
        self._frames_left -= weight + size // BYTES_FOR_FRAME
        if self._frames_left < 0:
            raise ProtocolError("many frames and no answers", frames.ENHANCE_YOUR_CALM)

    def count_answers(self, count: int) -> None:
        """Allow more frames: answers have come."""
        frames_left = self._frames_left + count * FRAMES_FOR_ANSWER
        self._frames_left = min(frames_left, MOST_FRAMES_WITHOUT_ANSWER)

    def cancel(self, number: int, size: int) -> None:
        """Remember a stream that we ended after `size` bytes of its answer.

        The server learns of it later. Until then it sends as much as the window allows (5.1).
        """
        if len(self._cancelled) >= MOST_CANCELLED:
            del self._cancelled[next(iter(self._cancelled))]
        self._cancelled[number] = STREAM_WINDOW - size

    def count_late_data(self, number: int, size: int, *, last: bool) -> None:
        """Count a part of a body that comes after its stream is over."""
        window = self._cancelled.get(number, 0) - max(size, LEAST_CHARGE)
        if window < 0 or size < LEAST_CHARGE:
            self.count_frame(size)
        if window < 0:
            return
        if last:
            del self._cancelled[number]
        else:
            self._cancelled[number] = window

    def end(self, number: int) -> None:
        """Forget a cancelled stream: the server has ended it too."""
        self._cancelled.pop(number, None)
