"""A lane: one provider's side of a stream, with its batches, its pace and its troubles."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.domain.verdict import Verdict
from workers.delivery.leased_batch import Lease
from workers.provider import Credential, Position, Provider, Pushes, Request

Item = Request | tuple[Position, Verdict]

PATIENCE_S = 2.0
"""A lane that pauses for longer gives its batches back."""


@dataclass(slots=True)
class Lane:
    """Batches of one provider on their way out. `generation` counts credentials.

    `held` lanes send nothing, `unrecorded` says that only we know of the hold; a `probing` one
    sends a single request to learn whether the hold can end. `ended` is a provider that rejected
    this alert, `ending` one whose rejection is not on record yet. `accepting` are the origins that
    took something of it, as `voice` names them.
    """

    provider: Provider
    pushes: Pushes | None = None
    credential: Credential | None = None
    generation: int = 0
    queue: deque[tuple[Lease, Iterator[Item]]] = field(default_factory=deque)
    leases: dict[tuple[int, int], Lease] = field(default_factory=dict)
    unsent: int = 0
    budget: int = 0
    paused_until: float = 0.0
    origins: dict[str, float] = field(default_factory=dict)
    held: bool = False
    unrecorded: bool = False
    probing: bool = False
    ended: bool = False
    ending: bool = False
    accepted: int = 0
    accepting: set[str] = field(default_factory=set)
    answers: int = 0
    throttled: int = 0
    throttle_s: float = 0.0
    doubts: int = 0
    refusals: int = 0
    look_again_at: float = 0.0

    @property
    def name(self) -> str:
        """Return the provider's name."""
        return self.provider.name

    @property
    def open(self) -> bool:
        """Whether it may send now."""
        return not (self.held or self.ended or time.monotonic() < self.paused_until)

    @property
    def hungry(self) -> bool:
        """Whether another batch should be claimed: before the window could run dry."""
        return self.open and self.unsent < self.provider.window

    def add(self, lease: Lease, items: Iterator[Item], size: int) -> None:
        """Take a batch to be sent after those already here."""
        self.leases[lease.key] = lease
        self.queue.append((lease, items))
        self.unsent += size

    def next(self) -> tuple[Lease, Item] | None:
        """Return the next thing to send, None when all is on its way."""
        while self.queue:
            lease, items = self.queue[0]
            item = next(items, None)
            if item is not None:
                self.unsent -= 1 if isinstance(item, tuple) else len(item.positions)
                return lease, item
            self.queue.popleft()
        self.unsent = 0
        return None

    def stop_sending(self) -> None:
        """Drop what was not built yet; the batches themselves stay until they are written."""
        self.queue.clear()
        self.unsent = 0

    def pause(self, seconds: float) -> None:
        """Send nothing for a while; a long pause gives the batches back."""
        self.paused_until = max(self.paused_until, time.monotonic() + seconds)
        if seconds > PATIENCE_S:
            self.stop_sending()

    def pause_left(self) -> float:
        """Return the seconds it still pauses."""
        return max(self.paused_until - time.monotonic(), 0.0)

    def pause_origin(self, url: str, seconds: float) -> None:
        """Send nothing to one origin of this provider for a while."""
        self.origins[origin(url)] = time.monotonic() + seconds

    def origin_wait(self, url: str) -> float:
        """Return how many seconds the request's origin must be left alone; 0 for none."""
        if not self.origins:
            return 0.0
        return max(self.origins.get(origin(url), 0.0) - time.monotonic(), 0.0)

    def voice(self, request: Request | None) -> str:
        """Say who answers: one origin among many, or "" where the provider has one for all."""
        if request is None or self.provider.guard is None:
            return ""
        return origin(request.url)

    def allowance(self) -> int:
        """Return how many requests may leave at once for reasons of its own: a probe is one."""
        if self.probing:
            return 0 if any(lease.flying for lease in self.leases.values()) else 1
        return self.provider.window

    def hold(self) -> None:
        """Send nothing more: a person or a later probe must clear the provider first."""
        self.held = True
        self.probing = False
        self.stop_sending()

    def reopen(self) -> None:
        """Go on where a hold has ended: what was held against the provider counts no more."""
        if self.held or self.probing:
            self.held = self.probing = False
            self.doubts = 0
            self.look_again_at = 0.0

    def forget(self, lease: Lease) -> None:
        """Let go of a batch that is no longer ours, and of what was to be sent of it."""
        self.leases.pop(lease.key, None)
        self.queue = deque(pair for pair in self.queue if pair[0] is not lease)

    def idle(self, lease: Lease) -> bool:
        """Whether nothing of the batch is in flight or waits to be built."""
        return not lease.flying and all(held is not lease for held, _ in self.queue)


def origin(url: str) -> str:
    """Return scheme, host and port; of no url at all, itself."""
    end = url.find("/", len("https://"))
    return url if end < 0 else url[:end]
