"""One alert's open batches as one continuous stream of requests.

Batches are claimed, loaded and built while earlier ones are in flight, and each is settled as its
last answer arrives. Nothing here decides what an answer means (the provider does) or what follows
from it (`next_step` does).
"""

import time
from enum import Enum

import structlog

from service.domain.alert import AlertState
from service.domain.delivery import State
from service.domain.subscription import Urgency
from workers.delivery import claiming, flushing, outcomes
from workers.delivery.turn import Turn

log = structlog.get_logger()

TURN_S = 10.0
LAST_ANSWERS_S = 4.0
"""How long a stream that must end waits for what is in flight."""


IDLE_S = 0.005
BROKEN_PAUSE_S = 5.0
"""How long batches are left alone after a fault of ours: it will meet whoever claims them next."""


class End(Enum):
    """Why a stream ended."""

    DRY = "nothing left to claim"
    OVER = "the alert has ended"
    YIELDED = "the turn was given up"
    LOST = "the database would not take what we know"


def run(turn: Turn) -> End:
    """Send until nothing is left, the turn is over or the alert has ended.

    Whatever raises, what was accepted by then is put on record: nobody is pushed again for it.
    """
    try:
        return _run(turn)
    except Exception:
        _break_off(turn)
        raise


def _run(turn: Turn) -> End:
    while (end := _reason_to_end(turn)) is None:
        more = False
        if not turn.stands_aside:
            more = claiming.top_up(turn)
            claiming.feed(turn)
        _hear(turn, wait=not more)
        if _write_is_due(turn):
            outcomes.adjust_pace(turn)
            if not flushing.flush(turn):
                return End.LOST
    for lane in turn.lanes.values():
        lane.stop_sending()
    return end if _wind_up(turn, end) else End.LOST


def _wind_up(turn: Turn, end: End) -> bool:
    """Hear the last answers, for some seconds, and give everything back; False when it is lost."""
    until = time.monotonic() + LAST_ANSWERS_S
    while turn.leases():
        if time.monotonic() > until:
            outcomes.give_up_waiting(turn, end.value)
        _settle_rest(turn)
        if _write_is_due(turn) and not flushing.flush(turn):
            return False
        _hear(turn)
    return True


def _break_off(turn: Turn) -> None:
    """Write what we know and give everything back; nothing that may raise again is tried."""
    log.error("turn broken off", alert=turn.alert_id)
    for lane in turn.lanes.values():
        lane.pause(BROKEN_PAUSE_S)
    outcomes.give_up_waiting(turn, "the sender failed")
    while turn.leases() and flushing.flush(turn):
        if turn.write_failed:
            time.sleep(turn.process.settings.flush_ms / 1000)


def _reason_to_end(turn: Turn) -> End | None:
    if turn.state not in (AlertState.PLANNING, AlertState.SENDING):
        return End.OVER
    if turn.clock.now() >= turn.out.expires_at:
        return End.OVER
    if turn.process.stopping.is_set():
        return End.YIELDED
    if turn.gives_way_to is not None or _turn_is_over(turn):
        return End.YIELDED
    return End.DRY if not turn.leases() and _dry(turn) else None


def _turn_is_over(turn: Turn) -> bool:
    """Whether others are to have their turn; a breaking alert goes on while nothing waits for it.

    The sweep is among what waits: it must come to its turn, or a long stream is all that moves.
    """
    if time.monotonic() - turn.begun <= TURN_S:
        return False
    if turn.out.urgency is not Urgency.BREAKING or turn.process.waiting("urgent"):
        return True
    turn.begun = time.monotonic()
    return False


def _settle_rest(turn: Turn) -> None:
    """Of an alert that is over, settle what never left: cancelled, or expired past the deadline."""
    if turn.state not in (AlertState.PLANNING, AlertState.SENDING):
        state = State.CANCELLED
    elif turn.clock.now() >= turn.out.expires_at:
        state = State.EXPIRED
    else:
        return
    for _, lease in turn.leases():
        lease.put_rest(state)


def _hear(turn: Turn, *, wait: bool = True) -> None:
    """Wait for answers, but not past the next write, and read them."""
    exchanges = turn.exchanges
    until_write = turn.tried_at + turn.process.settings.flush_ms / 1000 - time.monotonic()
    if exchanges.in_flight() == 0:
        if wait and (turn.leases() or turn.stands_aside):
            time.sleep(max(min(until_write, IDLE_S), 0.0))
        return
    answers = exchanges.poll(max(until_write, 0.001) if wait else 0)
    at_ms = turn.clock.ms_since(turn.out.due_at)
    for sent, answer in answers:
        outcomes.read(turn, sent, answer, at_ms)


def _write_is_due(turn: Turn) -> bool:
    """Whether the timer says so, or everything we hold is answered and nothing is to wait for.

    A database that took nothing the last time is tried by the timer alone.
    """
    if flushing.due(turn) or turn.write_failed:
        return flushing.due(turn)
    held = turn.leases()
    return bool(held) and all(lane.idle(lease) for lane, lease in held)


def _dry(turn: Turn) -> bool:
    """Whether nothing is to come: every shard packed and no open lane with a batch to claim.

    Without an open lane nothing of ours is, and we pack for nobody: others do.
    """
    if not any(lane.open for lane in turn.lanes.values()):
        return True
    if turn.packing is not None:
        time.sleep(IDLE_S)
        return False
    return all(not lane.open or lane.look_again_at > 0 for lane in turn.lanes.values())
