"""A batch under our lease: its states while answers come in, and what to write about it.

It knows nothing of HTTP, SQL or other batches.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from service.domain.delivery import AFTER_ACCEPTED, Delivery, State, Step, next_step
from service.domain.device import NOTHING_AGAINST_IT, History
from service.domain.verdict import FollowUp, NotAccepted
from service.store.deliveries.batch_claims import ClaimedBatch
from service.store.deliveries.batch_writes import BatchWrite, LeaseChange
from service.tracing.spans import NO_SPAN, Span
from workers.provider import Position, Target

PROGRESS_STEP_MS = 25
"""Acceptances are counted by the 25 ms in which they came."""

OPEN = (State.PENDING, State.RETRYING)
IN_VAIN = (State.RETRYING, State.EXPIRED, State.CANCELLED)
SOONEST_RETRY_S = 0.5


class DeadLetter(NamedTuple):
    """Positions given up in one batch for one reason and answer."""

    reason: str
    answer: str
    positions: list[int]


class BatchExceptions(NamedTuple):
    """What is to be put on record of a batch beside its states, as it was at one moment."""

    dead_devices: list[tuple[int, datetime]]
    suspects: list[int]
    refused_devices: list[int]
    tickets: list[tuple[str, int, float]]
    dead_letters: list[DeadLetter]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Doubtful evidence against a device, and the delivery as it was before."""

    why: str
    answer: str
    origin: str
    heard_at: datetime
    before: Delivery


@dataclass(slots=True)
class LeasedBatch:
    """One claimed batch. `now` is the database's clock, carried on by a monotonic one.

    `in_flight` are the positions that wait for an answer, `due` those that wait for their next
    attempt. `reasons` are the last reasons why positions were not accepted. `history` holds what
    earlier alerts say of a device, packed, where that is anything; `doubts` and `refusals` wait to
    be judged when the batch is given back. `dead_devices`, `suspects`, `refused_devices`, `buried`
    and `tickets` are what the next write has to put on record.
    """

    claim: ClaimedBatch
    deadline: datetime
    now: Callable[[], datetime]
    states: bytearray = field(init=False)
    in_flight: set[Position] = field(default_factory=set)
    due: dict[Position, tuple[datetime, str]] = field(default_factory=dict)
    reasons: dict[Position, str] = field(init=False)
    history: dict[Position, int] = field(default_factory=dict)
    doubts: dict[Position, Doubt] = field(default_factory=dict)
    refusals: dict[Position, str] = field(default_factory=dict)
    dead_devices: list[tuple[int, datetime]] = field(default_factory=list)
    suspects: list[int] = field(default_factory=list)
    refused_devices: list[int] = field(default_factory=list)
    buried: dict[tuple[str, str], list[Position]] = field(default_factory=dict)
    tickets: list[tuple[str, int, float]] = field(default_factory=list)
    progress: dict[int, int] = field(init=False)
    answers_in_vain: Counter[type[NotAccepted]] = field(default_factory=Counter)
    span: Span = NO_SPAN

    def __post_init__(self) -> None:
        """Take over the states, what was accepted when, and the waits that are not over yet."""
        steps = self.claim.progress
        self.states = bytearray(self.claim.states)
        self.progress = dict(zip(steps[::2], steps[1::2], strict=True))
        self.reasons = dict(self.claim.reasons)
        start = self.now()
        for position, seconds in self.claim.waits.items():
            due_at = start + timedelta(seconds=seconds)
            self.due[position] = (due_at, self.reasons.get(position, ""))

    @property
    def key(self) -> tuple[int, int]:
        """Return (shard number, batch number): its name within the alert."""
        return self.claim.shard_n, self.claim.n

    @property
    def device_ids(self) -> Sequence[int]:
        """Return the batch's devices by position."""
        return self.claim.device_ids

    @property
    def finished(self) -> bool:
        """Whether every position is final."""
        return not any(byte & 7 in OPEN for byte in self.states)

    def is_open(self, position: Position) -> bool:
        """Whether the position may still be sent."""
        return self.states[position] & 7 in OPEN

    def positions_due(self) -> list[Position]:
        """Return the positions that are to be sent now."""
        waiting = self.in_flight.union(self.due)
        return [p for p, byte in enumerate(self.states) if byte & 7 in OPEN and p not in waiting]

    def end_waits(self) -> bool:
        """Let positions whose wait is over be sent again; returns whether there are any."""
        now = self.now()
        over = [position for position, (due_at, _) in self.due.items() if due_at <= now]
        for position in over:
            del self.due[position]
        return bool(over)

    def unsent(self, targets: Sequence[Target]) -> list[Target]:
        """Return those of the targets that are due and neither answered nor in flight."""
        waiting = set(self.positions_due())
        return [target for target in targets if target.position in waiting]

    def mark_sent(self, positions: Sequence[Position]) -> None:
        """Note that the positions wait for an answer."""
        self.in_flight.update(positions)

    def mark_answered(self, positions: Sequence[Position]) -> None:
        """Note that the positions wait for no answer any more."""
        self.in_flight.difference_update(positions)

    def accept(self, position: Position, at_ms: int) -> None:
        """Note an acceptance, `at_ms` milliseconds after the alert was due."""
        self.states[position] = AFTER_ACCEPTED[self.states[position]]
        slot = at_ms - at_ms % PROGRESS_STEP_MS
        self.progress[slot] = self.progress.get(slot, 0) + 1

    def settle(self, position: Position, verdict: NotAccepted, jitter: float) -> Step:
        """Decide what follows from any other verdict and note the delivery's next state."""
        before = Delivery.unpack(self.states[position])
        step = next_step(before, verdict, now=self.now(), deadline=self.deadline, jitter=jitter)
        self.states[position] = step.delivery.pack()
        self.reasons[position] = verdict.why
        self.answers_in_vain[type(verdict)] += 1
        if step.due_at is not None:
            self.due[position] = (step.due_at, verdict.why)
        return step

    def forget_device(self, position: Position, since: datetime) -> None:
        """Note that the device's address is dead since then."""
        self.dead_devices.append((self.device_ids[position], since))

    def doubt_device(self, position: Position, doubt: Doubt) -> None:
        """Note evidence that is decided on when the batch is given back."""
        self.doubts[position] = doubt

    def refuse_device(self, position: Position, origin: str) -> None:
        """Note that the device was refused, by whom: judged when the batch is given back."""
        self.refusals[position] = origin

    def note_history(self, position: Position, bits: int) -> None:
        """Note what earlier alerts say of a device, as the store packs it."""
        if bits:
            self.history[position] = bits

    def history_of(self, position: Position) -> History:
        """Return what earlier alerts say of a device."""
        bits = self.history.get(position, 0)
        return History.unpack(bits) if bits else NOTHING_AGAINST_IT

    def newly_accepted(self) -> list[int]:
        """Return the devices whose acceptance ends what earlier alerts say of them."""
        accepted = [p for p in self.history if self.states[p] & 7 == State.ACCEPTED]
        return [self.device_ids[position] for position in accepted]

    def bury(self, position: Position, reason: str, answer: str) -> None:
        """Note a dead letter."""
        self.buried.setdefault((reason, answer), []).append(position)

    def keep_ticket(self, position: Position, follow_up: FollowUp) -> None:
        """Note that the acceptance is only a ticket."""
        seconds = follow_up.after.total_seconds()
        self.tickets.append((follow_up.ticket, self.device_ids[position], seconds))

    def close(self, positions: Iterable[Position], state: State) -> None:
        """Give open positions a final state: gone without a device, cancelled, expired."""
        for position in positions:
            if self.is_open(position):
                self.states[position] = (self.states[position] & 0xF8) | state
                self.due.pop(position, None)

    def close_unsent(self, state: State) -> None:
        """Give every open position a final state but those in flight: they wait for an answer."""
        self.close((p for p in range(len(self.states)) if p not in self.in_flight), state)

    def forget_doubted(self, position: Position) -> None:
        """Believe the doubt: the device is gone."""
        doubt = self.doubts.pop(position)
        self.forget_device(position, doubt.heard_at)

    def bury_doubted(self, position: Position, *, suspect: bool) -> None:
        """Bury the delivery, for a replay; the device is kept, as a suspect or without a stain."""
        doubt = self.doubts.pop(position)
        attempts = Delivery.unpack(self.states[position]).attempts
        self.states[position] = Delivery(State.BURIED, doubt.before.unknown, attempts).pack()
        self.bury(position, doubt.why, doubt.answer)
        if suspect:
            self.suspects.append(self.device_ids[position])

    def decide_refused(self, position: Position, *, suspect: bool, gone: bool) -> None:
        """Count the refusal against the device, and what it adds up to."""
        del self.refusals[position]
        device_id = self.device_ids[position]
        if gone:
            self.dead_devices.append((device_id, self.now()))
            return
        self.refused_devices.append(device_id)
        if suspect:
            self.suspects.append(device_id)

    def drop_refused(self, position: Position) -> None:
        """Let a refusal say nothing about its device: too many others were refused."""
        del self.refusals[position]

    def spare_doubted(self, position: Position, why: str, wait_s: float = 0.0) -> None:
        """Let the position wait for another attempt, this one not counted: it was our fault."""
        before = self.doubts.pop(position).before
        self.states[position] = Delivery(State.RETRYING, before.unknown, before.attempts).pack()
        self.due[position] = (self.now() + timedelta(seconds=wait_s), why)

    def exceptions(self) -> BatchExceptions:
        """Return what is to be put on record by now, in lists that do not change any more."""
        letters = [DeadLetter(*answer, positions[:]) for answer, positions in self.buried.items()]
        gone, refused = self.dead_devices[:], self.refused_devices[:]
        return BatchExceptions(gone, self.suspects[:], refused, self.tickets[:], letters)

    def write(self, *, give_back: bool, not_before_s: float = 0.0) -> BatchWrite:
        """Return what to write now: the lease kept, given back, or ended with the last word.

        A batch given back is nobody's to claim for `not_before_s` seconds at least.
        """
        lease_change = LeaseChange.KEEP
        if give_back:
            lease_change = LeaseChange.END if self.finished else LeaseChange.RELEASE
        now = self.now()
        waits = [
            (position, max((due_at - now).total_seconds(), 0.0), why)
            for position, (due_at, why) in self.due.items()
            if self.is_open(position)
        ]
        return BatchWrite(
            shard_n=self.claim.shard_n,
            n=self.claim.n,
            token=self.claim.token,
            states=bytes(self.states),
            lease_change=lease_change,
            progress=tuple(chain.from_iterable(self.progress.items())),
            in_flight=bool(self.in_flight),
            due_s=max(self._soonest_s(waits), not_before_s),
            waits=[*waits, *self._last_reasons()] if give_back else (),
            accepted=self.newly_accepted() if give_back else (),
        )

    def _last_reasons(self) -> Iterator[tuple[Position, float, str]]:
        """Yield what is kept of positions that were tried in vain and wait for nothing."""
        for position, why in self.reasons.items():
            if why and position not in self.due and self.states[position] & 7 in IN_VAIN:
                yield position, 0.0, why

    def _soonest_s(self, waits: Sequence[tuple[int, float, str]]) -> float:
        """Return the seconds until a process should look again: none while anything is due."""
        open_positions = sum(1 for byte in self.states if byte & 7 in OPEN)
        if len(waits) < open_positions:
            return 0.0
        return max(min((seconds for _, seconds, _ in waits), default=0.0), SOONEST_RETRY_S)

    def note_written(self, exceptions: BatchExceptions) -> None:
        """Drop what a write has put on record; what came after it was begun stays."""
        del self.dead_devices[: len(exceptions.dead_devices)]
        del self.suspects[: len(exceptions.suspects)]
        del self.refused_devices[: len(exceptions.refused_devices)]
        del self.tickets[: len(exceptions.tickets)]
        for letter in exceptions.dead_letters:
            positions = self.buried.pop((letter.reason, letter.answer))[len(letter.positions) :]
            if positions:
                self.buried[letter.reason, letter.answer] = positions
