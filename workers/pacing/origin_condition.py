"""What a channel knows of single origins of a provider that is many servers."""

import time
from dataclasses import dataclass, field

from service.domain.network import origin_of


@dataclass(slots=True)
class OriginCondition:
    """The origins that are left alone for a while, or for the rest of this alert."""

    _pauses: dict[str, float] = field(default_factory=dict)
    """Until when (monotonic) nothing is sent to an origin."""
    _holds: dict[str, float] = field(default_factory=dict)
    _ends: dict[str, str] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)
    """Those whose unsent requests are still to be taken back from the gateway."""

    def pause(self, origin: str, seconds: float) -> None:
        """Send nothing to an origin for a while."""
        if self._wait_for(origin) == 0:
            self._closed.add(origin)
        self._pauses[origin] = time.monotonic() + seconds

    def hold(self, origin: str, seconds: float) -> None:
        """Send nothing to an origin for a while: its refusals look like a mistake of ours."""
        self.pause(origin, seconds)
        self._holds[origin] = self._pauses[origin]

    def end(self, origin: str, why: str) -> None:
        """Send nothing more of this alert to an origin."""
        self._ends[origin] = why
        self._closed.add(origin)

    def pop_closed(self) -> set[str]:
        """Return the origins that nothing is to be sent to since the last time."""
        closed, self._closed = self._closed, set()
        return closed

    def hold_left(self, origin: str) -> float:
        """Return how many seconds the origin is still held; 0 where it is not."""
        return max(self._holds.get(origin, 0.0) - time.monotonic(), 0.0)

    def end_of(self, url: str) -> str | None:
        """Return why the request's origin gets nothing more of this alert; None when it does."""
        return self._ends.get(origin_of(url)) if self._ends else None

    def wait(self, url: str) -> float:
        """Return how many seconds the request's origin must be left alone; 0 for none."""
        return self._wait_for(origin_of(url)) if self._pauses else 0.0

    def _wait_for(self, origin: str) -> float:
        return max(self._pauses.get(origin, 0.0) - time.monotonic(), 0.0)
