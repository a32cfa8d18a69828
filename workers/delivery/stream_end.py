"""Why a stream ends."""

from enum import Enum


class End(Enum):
    """Why a stream ended."""

    EMPTY = "nothing left to claim"
    OVER = "the alert has ended"
    YIELDED = "the stream made way for other work"
    LOST = "the database would not take what we know"
