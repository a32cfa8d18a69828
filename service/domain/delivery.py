"""A delivery: one alert for one device, one byte in its batch, and the decision what comes next."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import assert_never

from service.domain.effect import (
    BuryDelivery,
    DoubtDevice,
    Effect,
    EndAlert,
    ForgetDevice,
    HoldProvider,
    KeepTicket,
    MintCredential,
    PauseOrigin,
    Reconnect,
)
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Reach,
    SenderRejected,
    TryLater,
    Verdict,
)

MOST_ATTEMPTS_COUNTED = 15
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
ORIGIN_PAUSE = timedelta(seconds=30)
"""How long an origin is left alone that asks for a pause and gives no time."""


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
    (RFC 9562, section 5.5) of "alert/device". Computed here, because `uuid.uuid5` costs five
    times as much and every push needs one.
    """
    prefix = hashlib.sha1(_IDS.bytes + b"%d/" % alert_id, usedforsecurity=False)

    def of_device(device_id: int) -> str:
        digest = prefix.copy()
        digest.update(b"%d" % device_id)
        h = digest.hexdigest()
        return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"

    return of_device


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a delivery: its next byte, when it is due again, and what else follows."""

    delivery: Delivery
    due_at: datetime | None = None
    effects: tuple[Effect, ...] = ()


def next_step(  # noqa: PLR0911 - one return a verdict is the point
    delivery: Delivery, verdict: Verdict, *, now: datetime, deadline: datetime, jitter: float
) -> Step:
    """Decide what follows from one verdict. Pure; `jitter` is drawn from [0, 1)."""
    attempts = min(delivery.attempts + 1, MOST_ATTEMPTS_COUNTED)
    effects = effects_of(verdict, now)
    match verdict:
        case Accepted():
            return Step(Delivery(State.ACCEPTED, False, attempts), effects=effects)
        case TryLater():
            return _later(delivery, verdict, now=now, deadline=deadline, jitter=jitter)
        case DeviceGone():
            return Step(Delivery(State.GONE, False, attempts), effects=effects)
        case DeviceRefused(unknown=unknown):
            buried = Delivery(State.BURIED, delivery.unknown or unknown, attempts)
            return Step(buried, effects=effects)
        case AlertRejected():
            return Step(Delivery(State.BURIED, delivery.unknown, attempts), effects=effects)
        case SenderRejected(reach=Reach.DEVICE):
            return Step(Delivery(State.BURIED, delivery.unknown, attempts), effects=effects)
        case SenderRejected():
            # The provider is at a standstill through our own fault: nobody's attempt is burnt.
            waiting = Delivery(State.RETRYING, delivery.unknown, delivery.attempts)
            return Step(waiting, due_at=now, effects=effects)
        case _:
            assert_never(verdict)


def effects_of(  # noqa: C901, PLR0911 - one case and one return a verdict are the point
    verdict: Verdict, now: datetime
) -> tuple[Effect, ...]:
    """Return what a verdict asks for besides the delivery's own next state."""
    match verdict:
        case Accepted(follow_up=follow_up):
            return (KeepTicket(follow_up),) if follow_up else ()
        case TryLater():
            return _effects_of_delay(verdict)
        case DeviceGone(doubtful=True, why=why):
            return (DoubtDevice(why),)
        case DeviceGone(since=since):
            # Without a word on since when: a device that registers after this moment is alive.
            return (ForgetDevice(since or now),)
        case DeviceRefused(why=why):
            return (BuryDelivery(why, of_device=True),)
        case AlertRejected(why=why):
            return (BuryDelivery(why), EndAlert(why))
        case SenderRejected(why=why, reach=Reach.DEVICE):
            return (BuryDelivery(why),)
        case SenderRejected(why=why, remint=remint):
            return (MintCredential(why),) if remint else (HoldProvider(why),)
        case _:
            assert_never(verdict)


def _effects_of_delay(verdict: TryLater) -> tuple[Effect, ...]:
    """Return what a TryLater asks for.

    A wait of the digest provider is not among it: `evidence.judge_rate` decides on that by the
    share of answers that ask for it.
    """
    effects: list[Effect] = [Reconnect()] if verdict.reconnect else []
    if verdict.reach is Reach.ORIGIN:
        effects.append(PauseOrigin(verdict.after or ORIGIN_PAUSE))
    return tuple(effects)


def _later(
    delivery: Delivery, verdict: TryLater, *, now: datetime, deadline: datetime, jitter: float
) -> Step:
    increment = 0 if verdict.blameless else 1
    attempts = min(delivery.attempts + increment, MOST_ATTEMPTS_COUNTED)
    unknown = delivery.unknown or verdict.unknown
    effects = effects_of(verdict, now)
    if verdict.most_attempts is not None and attempts >= verdict.most_attempts:
        buried = Delivery(State.BURIED, unknown, attempts)
        return Step(buried, effects=(*effects, BuryDelivery(verdict.why)))
    after = verdict.later if verdict.after is None and attempts > 1 else verdict.after
    due_at = now + wait_before(attempts, after, jitter, verdict.first or FIRST_WAIT)
    if due_at >= deadline:
        return Step(Delivery(State.EXPIRED, unknown, attempts), effects=effects)
    return Step(Delivery(State.RETRYING, unknown, attempts), due_at=due_at, effects=effects)


def wait_before(
    attempts: int, requested_wait: timedelta | None, jitter: float, first: timedelta = FIRST_WAIT
) -> timedelta:
    """Return the wait after `attempts` tries: the provider's word first, then ours.

    Ours doubles from `first`, usually a second, to five minutes. Both are stretched by up to a
    quarter, never shortened, so that the devices of one outage do not all come back at once.
    """
    own_wait = min(first * 2 ** max(attempts - 1, 0), LONGEST_WAIT)
    return (requested_wait if requested_wait is not None else own_wait) * (1 + jitter / 4)


_EPOCH = datetime.fromtimestamp(0).astimezone()

AFTER_ACCEPTED = bytes(
    next_step(
        Delivery.unpack(byte), Accepted(), now=_EPOCH, deadline=_EPOCH, jitter=0
    ).delivery.pack()
    if byte & STATE_BITS < len(State)
    else 0
    for byte in range(256)
)
"""`next_step` of an acceptance for every byte: decided once instead of a million times."""
