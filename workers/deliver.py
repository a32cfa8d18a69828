"""Batches -> requests -> verdicts -> settled: one turn of one process at one alert."""

import structlog
from sqlmodel import Session

from service import outbox
from service.domain.alert import queue_of
from service.domain.subscription import Urgency
from service.store.deliveries import batch_claims, precedence, shards
from service.store.operations import holds
from service.store.session import transaction
from service.unit_of_work import unit_of_work
from workers.context import Process
from workers.delivery import loop, outgoing
from workers.delivery.channel import Lane
from workers.delivery.clock import Clock
from workers.delivery.outgoing import Outgoing
from workers.delivery.turn import Turn
from workers.gateway.exchanges import Exchanges
from workers.upkeep import ending

log = structlog.get_logger()


def deliver(process: Process, alert_id: int) -> None:
    """Send what is open of an alert. A message that finds nothing to do returns at once."""
    turn = _begin(process, alert_id)
    if turn is None:
        return
    try:
        end = loop.run(turn)
    finally:
        # Nothing may be left in the air: the next turn would hear answers it never asked for.
        turn.exchanges.abandon()
    log.info("turn ended", alert=alert_id, why=end.value)
    if end is not loop.End.YIELDED:
        ending.end_if_done(process, alert_id)
        return
    with unit_of_work(process.engine, process.broker) as work:
        if turn.gives_way_to is not None:
            work.outbox.add(outbox.deliver(turn.gives_way_to, queue_of(Urgency.BREAKING)))
        work.outbox.add(outbox.deliver(alert_id, queue_of(turn.out.urgency)))


def _begin(process: Process, alert_id: int) -> Turn | None:
    with transaction(process.engine) as session:
        out = outgoing.outgoing(session, process.settings, alert_id)
        running = shards.planned_alert(session, alert_id)
        if out is None or running is None:
            return None
        clock = Clock.of(session)
        held = holds.held(session)
        lanes = {
            name: Lane(provider, held=name in held, ended=name in out.rejected_by)
            for name, provider in process.providers.items()
        }
        for lane in lanes.values():
            if lane.held and _may_probe(session, alert_id, out, lane.name):
                lane.held, lane.probing = False, True
        packing = running if shards.open_shards(session, alert_id, 1) else None
        ahead = precedence.read_precedence(
            session, alert_id, process.names, lease_s=process.settings.lease_s
        )
    return Turn(
        process=process,
        exchanges=Exchanges(process.gateway),
        alert_id=alert_id,
        out=out,
        clock=clock,
        lanes=lanes,
        packing=packing,
        ahead=ahead,
    )


def _may_probe(session: Session, alert_id: int, out: Outgoing, provider: str) -> bool:
    """Whether this turn tries a held provider: it must really have something to send through it."""
    if out.dry_run or not batch_claims.has_claimable(session, alert_id, [provider]):
        return False
    return holds.take_probe(session, provider)
