"""Whether the other side of a connection is still there: judged by what was heard, never assumed.

A connection can stay open for hours while nothing comes back: a firewall that has forgotten it, a
proxy whose process hangs. So silence leads to a PING (RFC 9113, 6.7), a PING without an answer to
another connection, and silence for as long as a request may take to the end of this one.
"""

from enum import Enum

IDLE_S = 60.0
"""Nothing heard for so long while nothing was in flight: a PING goes before the next request.
Apple advises to do so after an hour; firewalls forget much sooner."""
SILENCE_S = 3.0
"""Nothing heard for so long while requests are in flight: a PING goes, and no new request."""
REPLACE_S = 1.0
"""A PING without an answer for so long: new requests take another connection."""
SHARE_OF_TIMEOUT = 3
"""Where requests have little time, silence is a matter of this part of it."""


class Next(Enum):
    """What follows from what was heard."""

    GO_ON = "nothing"
    PING = "ask for a sign of life"
    GIVE_UP = "the connection is deaf"


class Liveness:
    """What was heard of one connection, and when; `timeout_s` is what a request may take."""

    __slots__ = ("_busy_since", "_heard_at", "_pinged_at", "_silence_s", "_timeout_s", "is_trusted")

    def __init__(self, now: float, timeout_s: float) -> None:
        self.is_trusted = True
        """Whether it may be given new requests."""
        self._timeout_s = timeout_s
        self._silence_s = min(SILENCE_S, timeout_s / SHARE_OF_TIMEOUT)
        self._heard_at = now
        self._busy_since: float | None = None
        self._pinged_at: float | None = None

    def hear(self, now: float) -> None:
        """Note that something has come; whatever it was, the other side is there."""
        self._heard_at = now
        self._pinged_at = None
        self.is_trusted = True

    def judge(self, now: float, *, busy: bool) -> Next:
        """Decide what to do; `busy` says whether requests are in flight."""
        if not busy:
            self._busy_since = None
            self.is_trusted = self.is_trusted and now - self._heard_at < IDLE_S
            silent_since = now if self._pinged_at is None else self._pinged_at
        else:
            if self._busy_since is None:
                self._busy_since = now
            silent_since = max(self._heard_at, self._busy_since)
        silence = now - silent_since
        if self._pinged_at is not None and silence >= self._timeout_s:
            return Next.GIVE_UP
        return Next.PING if self._pinged_at is None and silence >= self._silence_s else Next.GO_ON

    def note_ping(self, now: float) -> None:
        """Note that a PING goes out: until something is heard, no new requests do."""
        if self._pinged_at is None:
            self._pinged_at = now
        self.is_trusted = False

    def needs_ping(self) -> bool:
        """Whether it was idle for long, and a PING must go before the next request."""
        return not self.is_trusted and self._pinged_at is None

    def is_overdue(self, now: float) -> bool:
        """Whether the answer to a PING has not come in time, so that another connection is due."""
        return self._pinged_at is not None and now - self._pinged_at >= REPLACE_S

    def was_silent(self) -> bool:
        """Whether nothing was heard since requests are in flight."""
        return self._busy_since is not None and self._heard_at <= self._busy_since
