"""A channel: one provider's side of a stream, with its batches, its condition and its evidence."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.domain.evidence import ONE_SERVER, Evidence
from service.domain.network import origin_of
from service.domain.verdict import Verdict
from workers.delivery.condition import (
    AlertRefused,
    Condition,
    Ended,
    Event,
    Held,
    HoldAsked,
    HoldOnRecord,
    NoHoldOnRecord,
    Open,
    PauseAsked,
    Paused,
    ProbeAccepted,
    Probing,
    may_send,
    next_condition,
)
from workers.delivery.leased_batch import LeasedBatch
from workers.pacing.origin_condition import OriginCondition
from workers.pacing.way_out import WayOut
from workers.provider import AlertContent, Credential, Position, Provider, Pushes, Request

Item = Request | tuple[Position, Verdict]

LONG_PAUSE_S = 2.0
"""A channel that pauses for longer gives its batches back."""
MOST_BATCHES = 4
"""How many batches of one provider a stream holds at once."""


@dataclass(frozen=True, slots=True)
class PreparedAlert:
    """The alert in the provider's form, under one credential and with one content."""

    pushes: Pushes
    credential: Credential
    content: AlertContent


@dataclass(slots=True)
class Channel:
    """`backlog` counts pushes that were claimed and not built, `budget` those the rate allows.

    `generation` counts credentials. `claim_at` is the monotonic time before which the database has
    nothing for us; 0 says that nobody has looked since there was something. `recalls_unsent` says
    that what the gateway has not sent yet is to be taken back from it. A batch is claimed when
    less than `windows_ahead` windows of pushes are left to build.
    """

    provider: Provider
    condition: Condition = field(default_factory=Open)
    way: WayOut = field(default_factory=WayOut)
    evidence: Evidence = field(init=False)
    batches: dict[tuple[int, int], LeasedBatch] = field(default_factory=dict)
    queue: deque[tuple[LeasedBatch, Iterator[Item]]] = field(default_factory=deque)
    alert_form: PreparedAlert | None = None
    generation: int = 0
    backlog: int = 0
    budget: int = 0
    claim_at: float = 0.0
    origins: OriginCondition = field(default_factory=OriginCondition)
    ever_accepted: bool | None = None
    recalls_unsent: bool = False
    windows_ahead: int = 1

    def __post_init__(self) -> None:
        """Begin without evidence; a guarded provider is many servers."""
        self.evidence = Evidence(uses_origins=self.provider.guard is not None)

    @property
    def name(self) -> str:
        """Return the provider's name."""
        return self.provider.name

    @property
    def provider_name(self) -> str:
        """Return the name of the provider that the app uses: that of its file."""
        return type(self.provider).__module__.rpartition(".")[2]

    @property
    def may_send(self) -> bool:
        """Whether a push may leave now."""
        return may_send(self.condition, time.monotonic())

    def may_claim(self, now: float) -> bool:
        """Whether a batch that is claimed now could leave this process."""
        return self.may_send and self.way.may_try(now)

    @property
    def is_held(self) -> bool:
        """Whether the provider is held, as far as this stream knows."""
        return isinstance(self.condition, Held)

    @property
    def is_probing(self) -> bool:
        """Whether one request at a time is to show that the provider works again."""
        return isinstance(self.condition, Probing)

    @property
    def has_ended(self) -> bool:
        """Whether the provider rejected the alert."""
        return isinstance(self.condition, Ended)

    @property
    def rejection_to_record(self) -> bool:
        """Whether the provider rejected the alert and the database does not say so yet."""
        return self.condition == Ended(on_record=False)

    def wants_batch(self, now: float) -> bool:
        """Whether to claim another batch, before the provider's window could run empty."""
        return (
            self.may_claim(now)
            and self.backlog < self.windows_ahead * self.provider.window
            and len(self.batches) < MOST_BATCHES
            and now >= self.claim_at
        )

    def has_nothing_to_claim(self) -> bool:
        """Whether the database had no batch when we looked last."""
        return self.claim_at > 0

    def claim_after(self, seconds: float) -> None:
        """Leave the database alone for a while: it had nothing to claim."""
        self.claim_at = time.monotonic() + seconds

    def claim_soon(self) -> None:
        """Look for a batch at the next opportunity."""
        self.claim_at = 0.0

    def add(self, batch: LeasedBatch) -> None:
        """Take a batch that was claimed."""
        self.batches[batch.key] = batch
        self.claim_at = 0.0

    def enqueue(self, batch: LeasedBatch, items: Iterator[Item], size: int) -> None:
        """Take the pushes of a batch, to be sent after those already here."""
        self.queue.append((batch, items))
        self.backlog += size

    def next_item(self) -> tuple[LeasedBatch, Item] | None:
        """Return the next item to send, None when everything is on its way."""
        while self.queue:
            batch, items = self.queue[0]
            item = next(items, None)
            if item is not None:
                self.backlog -= 1 if isinstance(item, tuple) else len(item.positions)
                return batch, item
            self.queue.popleft()
        self.backlog = 0
        return None

    def drop_unsent(self) -> None:
        """Drop what has not left; the batches themselves stay until they are written."""
        self.queue.clear()
        self.backlog = 0
        self.recalls_unsent = True

    def pop_recall(self) -> bool:
        """Return whether to take back what the gateway has not sent; only once for each drop."""
        recalls_unsent, self.recalls_unsent = self.recalls_unsent, False
        return recalls_unsent

    def give_up(self, batch: LeasedBatch) -> None:
        """Let go of a batch that is no longer ours, and of what was to be sent of it.

        We may have claimed it again already, before we learned that it was given back. What is
        left of it can be claimed again: that is looked for before a stream ends.
        """
        if not batch.finished:
            self.claim_soon()
        if self.batches.get(batch.key) is batch:
            del self.batches[batch.key]
        self.queue = deque(pair for pair in self.queue if pair[0] is not batch)

    def is_idle(self, batch: LeasedBatch) -> bool:
        """Whether nothing of the batch is in flight or waits to be built."""
        return not batch.in_flight and all(other is not batch for other, _ in self.queue)

    def waits_for_answers_only(self, batch: LeasedBatch) -> bool:
        """Whether nothing of the batch waits to be built, but it cannot be given back yet."""
        return bool(batch.in_flight) and all(queued is not batch for queued, _ in self.queue)

    def grant(self, pushes: int) -> None:
        """Add to what the rate allows."""
        self.budget += pushes

    def spend(self, pushes: int) -> None:
        """Take what is sent from what the rate allows."""
        self.budget -= pushes

    def most_in_flight(self) -> int:
        """Return how many requests may be in flight for the channel's own reasons."""
        if self.is_probing or self.way.is_closed:
            return 0 if any(batch.in_flight for batch in self.batches.values()) else 1
        return self.provider.window

    def prepare(self, alert_form: PreparedAlert) -> PreparedAlert:
        """Keep the alert in the provider's form; a new credential begins a new generation."""
        before, self.alert_form = self.alert_form, alert_form
        if before is None or before.credential != alert_form.credential:
            self.generation += 1
        return alert_form

    def drop_credential(self) -> None:
        """Stop building under the present credential; answers to it hold nobody any more."""
        self.generation += 1
        self.alert_form = None
        self.drop_unsent()

    def replace_provider(self, provider: Provider) -> None:
        """Go on with the app's new credentials and options: what is not built yet is built again.

        What is in flight was sent under the old ones, and its answers hold nobody.
        """
        self.provider = provider
        self.evidence.clear_doubts()
        self.drop_credential()

    def pause(self, seconds: float) -> None:
        """Send nothing for a while; a long pause gives the batches back."""
        self._meet(PauseAsked(time.monotonic() + seconds))
        if seconds > LONG_PAUSE_S:
            self.drop_unsent()

    def pause_left(self) -> float:
        """Return the seconds it still pauses."""
        if isinstance(self.condition, Paused):
            return max(self.condition.until - time.monotonic(), 0.0)
        return 0.0

    def hold(self, *, on_record: bool) -> None:
        """Send nothing more: a person or a later probe must clear the provider first."""
        self._meet(HoldAsked(on_record))
        self.drop_unsent()

    def note_probe_accepted(self) -> None:
        """Go on as usual: the provider works again."""
        self._meet(ProbeAccepted())

    def end(self) -> None:
        """Send nothing more of this alert: the provider rejected it."""
        self._meet(AlertRefused())
        self.drop_unsent()

    def note_written(self, *, held: bool, paused: bool = False) -> None:
        """Learn from a write whether the provider is held by now, or all sending paused."""
        before = self.condition
        self._meet(HoldOnRecord() if held or paused else NoHoldOnRecord())
        if paused:
            self._meet(HoldAsked(on_record=True))  # a pause ends probes too
        if self.is_held:
            self.drop_unsent()
        elif isinstance(before, Held | Probing) and isinstance(self.condition, Open):
            # What was held against the provider has been cleared.
            self.evidence.clear_doubts()
            self.claim_at = 0.0

    def _meet(self, event: Event) -> None:
        self.condition = next_condition(self.condition, event)

    def note_ever_accepted(self, *, ever: bool) -> None:
        """Note whether the provider has accepted any device, in any alert."""
        self.ever_accepted = ever

    def origin_answering(self, request: Request | None) -> str:
        """Return who answers: one origin among many, or `ONE_SERVER`."""
        if request is None or self.provider.guard is None:
            return ONE_SERVER
        return origin_of(request.url)
