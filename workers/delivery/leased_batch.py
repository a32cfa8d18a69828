"""A batch in our hands: its states while answers come in, and what to write about it.

It knows nothing of HTTP, SQL or other batches; `workers.delivery.loop` feeds it.
"""

import random
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from service.domain.delivery import Delivery, Effect, State, Step, next_step
from service.domain.verdict import Accepted, FollowUp, Verdict
from service.store.deliveries.batch_claims import ClaimedBatch
from service.store.deliveries.batch_writes import BatchWrite, LeaseChange
from workers.provider import Target

_EPOCH = datetime.fromtimestamp(0).astimezone()

AFTER_ACCEPTED = bytes(
    next_step(
        Delivery.unpack(byte), Accepted(), now=_EPOCH, deadline=_EPOCH, jitter=0
    ).delivery.pack()
    if byte & 7 < len(State)
    else 0
    for byte in range(256)
)
"""`next_step` of a yes for every byte: the same decision, made once instead of a million times."""

STEP_MS = 25
"""Newly accepted deliveries are noted by the 25 ms in which they were."""

OPEN = (State.PENDING, State.RETRYING)
SOONEST_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Buried:
    """Positions given up in one batch for one reason and answer."""

    reason: str
    answer: str
    positions: list[int]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Doubtful evidence against a device, and what to go back to when it was our own mistake.

    `origin` is who gave it; "" for a provider that has one server for all.
    """

    why: str
    origin: str
    heard_at: datetime
    attempts: int
    unknown: bool


@dataclass(slots=True)
class Lease:
    """One claimed batch. `now` is the database's clock, carried on by a monotonic one."""

    claimed: ClaimedBatch
    deadline: datetime
    now: Callable[[], datetime]
    states: bytearray = field(init=False)
    flying: set[int] = field(default_factory=set)
    due: dict[int, tuple[datetime, str]] = field(default_factory=dict)
    gone: list[tuple[int, datetime | None]] = field(default_factory=list)
    doubtful: dict[int, Doubt] = field(default_factory=dict)
    suspects: list[int] = field(default_factory=list)
    buried: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    accepted_at: dict[int, int] = field(init=False)
    tickets: list[tuple[str, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take over the states, what was accepted when, and the waits that are not over yet."""
        progress = self.claimed.progress
        self.states = bytearray(self.claimed.states)
        self.accepted_at = dict(zip(progress[::2], progress[1::2], strict=True))
        begin = self.now()
        for position, seconds in self.claimed.waits.items():
            self.due[position] = (begin + timedelta(seconds=seconds), "")

    @property
    def key(self) -> tuple[int, int]:
        """Return (shard number, batch number): its name within the alert."""
        return self.claimed.shard_n, self.claimed.n

    @property
    def device_ids(self) -> Sequence[int]:
        """Return the batch's devices by position."""
        return self.claimed.device_ids

    def to_send(self) -> list[int]:
        """Return the positions that are due now."""
        return [p for p, byte in enumerate(self.states) if byte & 7 in OPEN and p not in self.due]

    def unsent(self, targets: Sequence[Target]) -> list[Target]:
        """Return those of the targets that are due and neither answered nor in flight."""
        waiting = set(self.to_send()) - self.flying
        return [target for target in targets if target.position in waiting]

    def is_open(self, position: int) -> bool:
        """Whether the position may still be sent."""
        return self.states[position] & 7 in OPEN

    def accept(self, position: int, at_ms: int) -> None:
        """Note a yes, `at_ms` milliseconds after the alert was due."""
        self.states[position] = AFTER_ACCEPTED[self.states[position]]
        slot = at_ms - at_ms % STEP_MS
        self.accepted_at[slot] = self.accepted_at.get(slot, 0) + 1

    def follow_up(self, position: int, ticket: FollowUp) -> None:
        """Note that this yes is only a ticket."""
        seconds = ticket.after.total_seconds()
        self.tickets.append((ticket.ticket, self.device_ids[position], seconds))

    def settle(self, position: int, verdict: Verdict, answer: str = "", origin: str = "") -> Effect:
        """Decide what follows from any other verdict and note it; returns what else it asks."""
        jitter = random.random()  # noqa: S311 - it spreads retries, it hides nothing
        now = self.now()
        before = Delivery.unpack(self.states[position])
        step = next_step(before, verdict, now=now, deadline=self.deadline, jitter=jitter)
        self.states[position] = step.delivery.pack()
        if step.effect is Effect.DOUBT_DEVICE:
            why, attempts = getattr(verdict, "why", ""), step.delivery.attempts
            self.doubtful[position] = Doubt(why, origin, now, attempts, before.unknown)
        else:
            self._note(position, verdict, step, answer, now)
        return step.effect

    def _note(
        self, position: int, verdict: Verdict, step: Step, answer: str, now: datetime
    ) -> None:
        why = getattr(verdict, "why", "")
        if step.due_at is not None:
            self.due[position] = (step.due_at, why)
        match step.effect:
            case Effect.FORGET_DEVICE:
                # Without a word on since when: who registers after this moment is alive.
                since = getattr(verdict, "since", None) or now
                self.gone.append((self.device_ids[position], since))
            case Effect.BURY | Effect.END_PROVIDER:
                self.bury(position, why, answer)
            case _:
                pass

    def bury(self, position: int, reason: str, answer: str) -> None:
        """Note a dead letter."""
        self.buried.setdefault((reason, answer), []).append(position)

    def put(self, positions: Iterable[int], state: State) -> None:
        """Give open positions a final state: gone without a device, cancelled, expired."""
        for position in positions:
            if self.is_open(position):
                self.states[position] = (self.states[position] & 0xF8) | state
                self.due.pop(position, None)

    def put_rest(self, state: State) -> None:
        """Give every open position a final state but those in flight: they wait for an answer."""
        self.put((p for p in range(len(self.states)) if p not in self.flying), state)

    def spare_doubtful(self, why: str) -> None:
        """Return doubtful positions to retrying, their attempt not counted: it was our fault."""
        for position, doubt in self.doubtful.items():
            before = Delivery(State.RETRYING, doubt.unknown, max(doubt.attempts - 1, 0))
            self.states[position] = before.pack()
            self.due[position] = (self.now(), why)
        self.doubtful.clear()

    def judge_doubtful(self, believed: Container[str]) -> None:
        """Settle doubtful evidence.

        Where its origin is believed, the devices are gone. Elsewhere they are only suspects, and
        the deliveries are buried, so that a person who mends the cause can replay them.
        """
        for position, doubt in self.doubtful.items():
            if doubt.origin in believed:
                self.gone.append((self.device_ids[position], doubt.heard_at))
                continue
            self.states[position] = Delivery(State.BURIED, doubt.unknown, doubt.attempts).pack()
            self.bury(position, f"{doubt.why}, while nothing of this alert was accepted", "")
            self.suspects.append(self.device_ids[position])
        self.doubtful.clear()

    @property
    def finished(self) -> bool:
        """Whether every position is final."""
        return not any(byte & 7 in OPEN for byte in self.states)

    def dead_letters(self) -> list[Buried]:
        """Return the dead letters noted since the last write."""
        return [Buried(why, answer, where) for (why, answer), where in self.buried.items()]

    def write(self, *, give_back: bool, not_before_s: float = 0.0) -> BatchWrite:
        """Return what to write now: the lease kept, given back, or ended with the last word.

        A batch given back is nobody's to claim for `not_before_s` seconds at least.
        """
        lease_change = LeaseChange.KEEP
        if give_back:
            lease_change = LeaseChange.END if self.finished else LeaseChange.RELEASE
        begin = self.now()
        waits = [
            (position, max((at - begin).total_seconds(), 0.0), why)
            for position, (at, why) in self.due.items()
            if self.is_open(position)
        ]
        return BatchWrite(
            shard_n=self.claimed.shard_n,
            n=self.claimed.n,
            token=self.claimed.token,
            states=bytes(self.states),
            lease_change=lease_change,
            progress=tuple(chain.from_iterable(self.accepted_at.items())),
            in_flight=bool(self.flying),
            due_s=max(self._released_for(waits), not_before_s),
            waits=waits if lease_change is LeaseChange.RELEASE else (),
        )

    def _released_for(self, waits: Sequence[tuple[int, float, str]]) -> float:
        """Seconds until somebody should look again: at once while anything is due."""
        still_open = sum(1 for byte in self.states if byte & 7 in OPEN)
        if len(waits) < still_open:
            return 0.0
        return max(min((seconds for _, seconds, _ in waits), default=0.0), SOONEST_AGAIN_S)

    def written(self) -> None:
        """Forget what the last write has put on record."""
        self.tickets = []
        self.buried = {}
        self.gone = []
        self.suspects = []
