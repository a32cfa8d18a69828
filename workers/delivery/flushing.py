"""Writing what we know: a flush every 250 ms, and batches given back when their last answer came.

Only the holder of a lease writes; a batch the write does not find was taken over, and is dropped.
"""

import time

import structlog
from sqlmodel import Session

from service.store.alerts import alert_totals, alert_transitions
from service.store.deliveries import batch_writes, dead_letters, follow_ups
from service.store.operations import holds
from service.store.readers import devices
from service.store.session import DATABASE_AWAY, transaction
from workers.delivery.channel import Lane
from workers.delivery.leased_batch import Lease
from workers.delivery.turn import Turn

log = structlog.get_logger()


def due(turn: Turn) -> bool:
    """Whether it is time to write, be there something new or not: a write renews the leases."""
    return time.monotonic() - turn.tried_at >= turn.process.settings.flush_ms / 1000


def flush(turn: Turn) -> bool:
    """Write every batch in our hands and give back those that are through.

    False: the database took nothing for so long that the leases have run out; what we hold is
    somebody else's by now.
    """
    turn.tried_at = time.monotonic()
    turn.write_failed = True
    held = turn.leases()
    back = {id(lease) for lane, lease in held if lane.idle(lease)}
    try:
        with transaction(turn.process.engine) as session:
            for lane, lease in held:
                if id(lease) in back:
                    _judge(session, turn, lane, lease)
            written = _write(session, turn, held, back)
    except DATABASE_AWAY as error:
        log.warning("ledger not written", alert=turn.alert_id, error=type(error).__name__)
        return time.monotonic() - turn.written_at < turn.process.settings.lease_s
    for lane, lease in held:
        lease.written()
        if lease.key not in written.batches:
            _drop(turn, lane, lease)
        elif id(lease) in back:
            del lane.leases[lease.key]
    _take_note(turn, written)
    return True


def _take_note(turn: Turn, written: batch_writes.WriteResult) -> None:
    """Learn from a write how things stand, and which providers were held or released meanwhile."""
    turn.written_at = time.monotonic()
    turn.write_failed = False
    turn.state = written.state
    turn.ahead = written.precedence
    for lane in turn.lanes.values():
        lane.ending = False
        if lane.name not in written.held_providers:
            if not lane.unrecorded:
                lane.reopen()
        elif not lane.probing:
            lane.hold()


def _write(
    session: Session, turn: Turn, held: list[tuple[Lane, Lease]], back: set[int]
) -> batch_writes.WriteResult:
    writes = [
        lease.write(give_back=id(lease) in back, not_before_s=lane.pause_left())
        for lane, lease in held
    ]
    written = batch_writes.write(
        session,
        turn.alert_id,
        writes,
        lease_s=turn.process.settings.lease_s,
        providers=turn.process.names,
    )
    for lane in turn.lanes.values():
        ours = [lease for at, lease in held if at is lane and lease.key in written.batches]
        _write_exceptions(session, turn, lane, ours)
        if lane.ending:
            alert_transitions.note_rejection(session, turn.alert_id, lane.name)
    return written


def _judge(session: Session, turn: Turn, lane: Lane, lease: Lease) -> None:
    """Doubtful evidence counts only beside an acceptance of the same provider and alert.

    Where a provider is many servers, the very one must have accepted something in this turn: our
    key may be wrong for one of them alone. Where the provider is held, the doubts are over our own
    mistake, and nobody's attempt burns.
    """
    if not lease.doubtful:
        return
    accepted = lane.accepted > 0 or alert_totals.has_acceptance(session, turn.alert_id, lane.name)
    if not accepted and (lane.held or lane.name in holds.held(session)):
        lease.spare_doubtful("its provider was held meanwhile")
        return
    lease.judge_doubtful(lane.accepting | {""} if accepted else ())


def _write_exceptions(session: Session, turn: Turn, lane: Lane, ours: list[Lease]) -> None:
    """Forget gone devices, keep suspects, dead letters and tickets, all together with the states.

    The devices of all batches at once: two alerts that forget the same ones do not meet crosswise.
    """
    devices.forget(
        session, [gone for lease in ours for gone in lease.gone], f"{lane.name} said it is gone"
    )
    devices.suspect(session, [device for lease in ours for device in lease.suspects])
    tickets = [ticket for lease in ours for ticket in lease.tickets]
    if tickets:
        follow_ups.keep(session, lane.name, tickets)
    for lease in ours:
        for letter in lease.dead_letters():
            where = (turn.alert_id, *lease.key, lane.name)
            dead_letters.bury(session, *where, letter.reason, letter.answer, letter.positions)


def _drop(turn: Turn, lane: Lane, lease: Lease) -> None:
    """Let go of a batch whose lease somebody else has now; its answers will find nobody."""
    log.warning("batch taken over by another worker", alert=turn.alert_id, batch=lease.key)
    lane.forget(lease)
