"""Readers' calls give way to the newsroom: while it has a call, none of theirs has a turn.

An editor's call has some forty steps, at each of which a rush of readers would come in between, so
that 14 ms became 131. Now the few calls that have begun end, and then the newsroom's runs as if
alone.

So that nobody stops the readers - whether a call is really the newsroom's is found out later, and
some of its calls last - a pause ends after `PAUSE_S`, and the next one begins when readers have had
as long to themselves; `LONGER` times as long, where the call had not ended by then.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import Scope

from service.http.admission import NEWSROOM_PATHS, has_newsroom_credentials
from service.http.limits.fair_limiter import FairLimiter

PAUSE_S = 0.05
LONGER = 4
"""Who lets calls hang that look like the newsroom's takes a fifth of the readers' time."""


@dataclass(slots=True)
class _Pause:
    """A pause of readers' calls, and how many calls of the newsroom that began in it still run."""

    began_at: float
    calls: int = 0


class NewsroomFirst:
    """The pauses of one event loop; `turns` are those that readers' calls have."""

    def __init__(
        self,
        turns: FairLimiter,
        pause_s: float = PAUSE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turns = turns
        self._at_once = turns.tokens
        self.pause_s = pause_s
        self._now = now
        self._pause: _Pause | None = None
        self._next_at = float("-inf")

    @contextmanager
    def call(self) -> Iterator[None]:
        """Let readers' calls wait while the newsroom's call runs."""
        if self._pause is None and self._now() >= self._next_at:
            self._pause = _Pause(self._now())
            self._turns.tokens = 0
            asyncio.get_running_loop().call_later(self.pause_s, self._end, self._pause)
        pause = self._pause
        if pause is None:
            yield
            return
        pause.calls += 1
        try:
            yield
        finally:
            pause.calls -= 1
            if not pause.calls:
                self._end(pause)

    def _end(self, pause: _Pause) -> None:
        if pause is self._pause:
            now = self._now()
            self._next_at = now + (LONGER if pause.calls else 1) * (now - pause.began_at)
            self._pause = None
            self._turns.tokens = self._at_once


def is_newsrooms(scope: Scope) -> bool:
    """Whether a call looks like one of the newsroom's: by its path, and a key or a session."""
    return (
        scope["type"] == "http"
        and scope["path"].startswith(NEWSROOM_PATHS)
        and has_newsroom_credentials(scope["headers"])
    )
