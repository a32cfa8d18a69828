"""A delivery: one alert for one device, one byte in its batch, and the decision what comes next."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import assert_never

from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
    Verdict,
)

MOST_ATTEMPTS_COUNTED = 15
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)


class State(IntEnum):
    """The milestones of a delivery. All but the first two are final."""

    PENDING = 0
    """Not sent yet."""
    RETRYING = 1
    """Tried, and waits for its next attempt."""
    ACCEPTED = 2
    """The provider took it."""
    GONE = 3
    """The address was dead."""
    EXPIRED = 4
    """Past the alert's deadline."""
    BURIED = 5
    """Given up; its dead letter says why."""
    CANCELLED = 6
    """The alert was stopped first."""

    @property
    def final(self) -> bool:
        """Whether nothing will change it any more."""
        return self not in (State.PENDING, State.RETRYING)


STATES = tuple(State)
STATE_BITS = 0b0000_0111
UNKNOWN_BIT = 0b0000_1000
_STATE_ONLY = bytes(byte & STATE_BITS for byte in range(256))
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_IDS = uuid.UUID("6f1b8f0e-3c55-5c0e-9d0b-4d1f6a2f7a10")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a state byte says: 3 bits state, 1 bit outcome unknown, 4 bits attempts."""

    state: State = State.PENDING
    unknown: bool = False
    attempts: int = 0

    def pack(self) -> int:
        """Return the byte."""
        return self.state | (UNKNOWN_BIT if self.unknown else 0) | (self.attempts << 4)

    @classmethod
    def unpack(cls, byte: int) -> "Delivery":
        """Return what the byte says."""
        return cls(State(byte & STATE_BITS), bool(byte & UNKNOWN_BIT), byte >> 4)


OPEN_STATES = (State.PENDING, State.RETRYING)


def state_of(byte: int) -> State:
    """Return the state that a state byte says."""
    return State(byte & STATE_BITS)


def with_state(byte: int, state: State) -> int:
    """Return the byte in another state; its attempts and whether it may have arrived stay."""
    return (byte & ~STATE_BITS) | state


CLOSED_AS = {
    state: bytes(
        with_state(byte, state) if byte & STATE_BITS in OPEN_STATES else byte for byte in range(256)
    )
    for state in STATES
    if state.final
}
"""By final state: the table for `bytes.translate` that gives it to every open delivery."""


def count_states(states: bytes | bytearray) -> list[int]:
    """Return how many bytes stand in each of the seven states: derived, so it cannot drift."""
    plain = states.translate(_STATE_ONLY)
    return [plain.count(state) for state in STATES]


def delivery_ids(alert_id: int) -> Callable[[int], str]:
    """Return the function from device to delivery id, for one alert.

    A delivery keeps its id for life, over retries and replays: it is the version 5 UUID
    (RFC 9562, section 5.5) of "alert/device". Spelt out here because `uuid.uuid5` costs five
    times as much and every push pays for it.
    """
    begun = hashlib.sha1(_IDS.bytes + b"%d/" % alert_id, usedforsecurity=False)

    def of_device(device_id: int) -> str:
        whole = begun.copy()
        whole.update(b"%d" % device_id)
        h = whole.hexdigest()
        return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"

    return of_device


class Effect(IntEnum):
    """What a verdict asks for besides the delivery's own next state."""

    NOTHING = 0
    FORGET_DEVICE = 1
    """Definite evidence: the address is dead."""
    DOUBT_DEVICE = 2
    """Doubtful evidence: forget only beside an acceptance of the same provider and alert."""
    BURY = 3
    """Write the dead letter."""
    END_PROVIDER = 4
    """This alert ends on this provider."""
    HOLD_PROVIDER = 5
    """Every alert waits on this provider."""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a delivery: its next byte, when it is due again, and what else follows."""

    delivery: Delivery
    due_at: datetime | None = None
    effect: Effect = Effect.NOTHING


def next_step(  # noqa: PLR0911 - one return a verdict is the point
    delivery: Delivery, verdict: Verdict, *, now: datetime, deadline: datetime, jitter: float
) -> Step:
    """Decide what follows from one verdict. Pure; `jitter` is drawn from [0, 1)."""
    tried = min(delivery.attempts + 1, MOST_ATTEMPTS_COUNTED)
    match verdict:
        case Accepted():
            return Step(Delivery(State.ACCEPTED, False, tried))
        case TryLater():
            return _later(delivery, verdict, now=now, deadline=deadline, jitter=jitter)
        case DeviceGone(doubtful=True):
            return Step(Delivery(State.GONE, False, tried), effect=Effect.DOUBT_DEVICE)
        case DeviceGone():
            return Step(Delivery(State.GONE, False, tried), effect=Effect.FORGET_DEVICE)
        case DeviceRefused(unknown=unknown):
            buried = Delivery(State.BURIED, delivery.unknown or unknown, tried)
            return Step(buried, effect=Effect.BURY)
        case AlertRejected():
            return Step(Delivery(State.BURIED, delivery.unknown, tried), effect=Effect.END_PROVIDER)
        case SenderRejected():
            # The provider is at a standstill through our own fault: nobody's attempt is burnt.
            waiting = Delivery(State.RETRYING, delivery.unknown, delivery.attempts)
            return Step(waiting, due_at=now, effect=Effect.HOLD_PROVIDER)
        case _ as never:
            assert_never(never)


def _later(
    delivery: Delivery, verdict: TryLater, *, now: datetime, deadline: datetime, jitter: float
) -> Step:
    counted = 0 if verdict.blameless else 1
    attempts = min(delivery.attempts + counted, MOST_ATTEMPTS_COUNTED)
    unknown = delivery.unknown or verdict.unknown
    wait = wait_before(attempts, verdict.after, jitter, verdict.first or FIRST_WAIT)
    due_at = now + wait
    if due_at >= deadline:
        return Step(Delivery(State.EXPIRED, unknown, attempts))
    return Step(Delivery(State.RETRYING, unknown, attempts), due_at=due_at)


def wait_before(
    attempts: int, asked: timedelta | None, jitter: float, first: timedelta = FIRST_WAIT
) -> timedelta:
    """Return the wait after `attempts` tries: the provider's word first, then ours.

    Ours doubles from `first`, usually a second, to five minutes. Both are stretched by up to a
    quarter, never shortened, so that the devices of one outage do not come back as one herd.
    """
    own = min(first * 2 ** max(attempts - 1, 0), LONGEST_WAIT)
    return (asked if asked is not None else own) * (1 + jitter / 4)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many deliveries stand where; `planned` is the sum of the other seven, always."""

    pending: int = 0
    retrying: int = 0
    accepted: int = 0
    gone: int = 0
    expired: int = 0
    buried: int = 0
    cancelled: int = 0

    @property
    def planned(self) -> int:
        """All deliveries."""
        return sum(self.counts())

    @property
    def open(self) -> int:
        """Those whose last word has not been said."""
        return self.pending + self.retrying

    def counts(self) -> tuple[int, ...]:
        """Return the seven in the order of `State`."""
        return (
            self.pending,
            self.retrying,
            self.accepted,
            self.gone,
            self.expired,
            self.buried,
            self.cancelled,
        )

    def as_dict(self) -> dict[str, int]:
        """Return the eight numbers of a report by name."""
        return {"planned": self.planned} | {
            state.name.lower(): n for state, n in zip(STATES, self.counts(), strict=True)
        }

    def __add__(self, other: "Totals") -> "Totals":
        """Add position by position."""
        return Totals(*map(sum, zip(self.counts(), other.counts(), strict=True)))


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds from when the alert was due to the first, the median, 90 % and last yes."""

    first_ms: int | None = None
    p50_ms: int | None = None
    p90_ms: int | None = None
    last_ms: int | None = None


def timing(steps: Sequence[tuple[int, int]]) -> Timing:
    """Return the timing of (milliseconds, newly accepted) steps in any order."""
    ordered = sorted(step for step in steps if step[1] > 0)
    if not ordered:
        return Timing()
    total = sum(n for _, n in ordered)
    return Timing(
        first_ms=ordered[0][0],
        p50_ms=_when(ordered, total * 0.5),
        p90_ms=_when(ordered, total * 0.9),
        last_ms=ordered[-1][0],
    )


def _when(ordered: Sequence[tuple[int, int]], share: float) -> int:
    so_far = 0
    for at, n in ordered:
        so_far += n
        if so_far >= share:
            return at
    return ordered[-1][0]
