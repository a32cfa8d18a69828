"""The same line again and again, as when a server is away: a few of them, and then how many more.

A process writes `MOST` lines of one kind within `PERIOD_S`; the first one after that says in
`repeated` how many were left out. Only what is a warning or worse is counted; one line a request
is written for each, since somebody asked for it.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

MOST = 3
PERIOD_S = 30.0
MOST_KINDS = 200
"""Kinds of lines that are remembered; the one seen longest ago makes room."""
_LONGEST_KIND = 120
_KIND = ("level", "event", "route", "provider", "alert", "feed", "account", "error")
"""What tells lines of ours apart."""


@dataclass(slots=True)
class _Kind:
    begun_at: float
    lines: int = 0
    left_out: int = 0


class LogFloods:
    """Says of each line whether it is written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: OrderedDict[str, _Kind] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, kind: str) -> int | None:
        """Return how many lines of the kind were left out before this one; None: leave it out."""
        now, name = self._clock(), kind[:_LONGEST_KIND]
        with self._lock:
            entry = self._kinds.setdefault(name, _Kind(now))
            self._kinds.move_to_end(name)
            if len(self._kinds) > MOST_KINDS:
                self._kinds.popitem(last=False)
            left_out = 0
            if now - entry.begun_at >= PERIOD_S:
                left_out, entry.begun_at, entry.lines, entry.left_out = entry.left_out, now, 0, 0
            if entry.lines >= MOST:
                entry.left_out += 1
                return None
            entry.lines += 1
            return left_out

    def thin_out(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        """Let a line of ours pass, or drop it; a processor of structlog."""
        if line["level"] in ("info", "debug"):
            return line
        left_out = self.admit(" ".join(str(line.get(name, "")) for name in _KIND))
        if left_out is None:
            raise structlog.DropEvent
        return {**line, "repeated": left_out} if left_out else line

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a line of a library pass, known by its text before the values are put in."""
        if record.levelno < logging.WARNING:
            return True
        left_out = self.admit(f"{record.name} {record.msg}")
        if left_out:
            record.repeated = left_out
        return left_out is not None


def note_repetitions(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Say in a library's line how many like it were left out."""
    count = getattr(line.get("_record"), "repeated", None)
    return line if count is None else {**line, "repeated": count}
