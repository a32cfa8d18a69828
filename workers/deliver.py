"""Batches -> requests -> verdicts -> settled: one stream of one process at one alert."""

import structlog
from sqlmodel import Session

from service import outbox
from service.domain.alert import queue_of
from service.domain.subscription import Urgency
from service.store.deliveries import batch_claims, late_releases, precedence, shards
from service.store.distance import shortest_round_trip_s
from service.store.operations import holds, pauses
from service.store.session import transaction
from service.unit_of_work import unit_of_work
from workers import counters
from workers.delivery import alert_end
from workers.delivery.channel import Channel
from workers.delivery.claiming import claimable_parts
from workers.delivery.clock import Clock
from workers.delivery.condition import Condition, Ended, Held, Open, Probing
from workers.delivery.intake import DISTANT_ROUND_TRIP_S, DISTANT_WINDOWS
from workers.delivery.loop import End, Stream
from workers.delivery.outgoing import Outgoing, outgoing
from workers.delivery.stream_context import StreamContext

log = structlog.get_logger()


def deliver(context: StreamContext, alert_id: int) -> None:
    """Send what is open of an alert. A message that finds nothing to do returns at once."""
    stream = _open_stream(context, alert_id)
    if stream is None:
        return
    try:
        end = stream.run()
    except BaseException:
        counters.STREAMS.labels("failed").inc()
        raise
    finally:
        # Nothing may stay in flight: the next stream would get answers that it never asked for.
        context.gateway.abandon()
    counters.STREAMS.labels(end.name.lower()).inc()
    log.info("stream ended", alert=alert_id, why=end.value)
    if end is not End.YIELDED:
        alert_end.end_if_done(context, alert_id)
        return
    with unit_of_work(context.engine, context.broker) as work:
        if stream.makes_way_for is not None:
            work.outbox.add(_message(context, stream.makes_way_for, Urgency.BREAKING))
        work.outbox.add(_message(context, alert_id, stream.alert.urgency))


def _message(context: StreamContext, alert_id: int, urgency: Urgency) -> outbox.Message:
    """Return what asks for the alert's batches of the kind that this process sends."""
    if context.strangers:
        return outbox.deliver_strangers(alert_id)
    return outbox.deliver(alert_id, queue_of(urgency))


def _open_stream(context: StreamContext, alert_id: int) -> Stream | None:
    with transaction(context.engine) as session:
        alert = outgoing(session, context.settings, alert_id)
        planned = shards.planned_alert(session, alert_id)
        if alert is None or planned is None:
            return None
        context.follow_apps(session, planned.apps_revision)
        if planned.spread is not None:
            late_releases.move_late_releases(session, alert_id)
        held = pauses.unusable(session, context.names)
        is_distant = shortest_round_trip_s(session) > DISTANT_ROUND_TRIP_S
        channels = [
            Channel(
                provider,
                _condition(context, session, alert_id, alert, name, held=name in held),
                way=context.ways.to(name),
                windows_ahead=DISTANT_WINDOWS if is_distant else 1,
            )
            for name, provider in context.providers.items()
            if not context.strangers or name in context.known_servers
        ]
        return Stream(
            context,
            alert_id,
            alert,
            Clock.of(session),
            channels=channels,
            shards=planned if _packs_shards(context, session, alert_id) else None,
            precedence=precedence.read_precedence(
                session,
                alert_id,
                context.names,
                lease_s=context.settings.lease_s,
                strangers=context.strangers,
            ),
            is_distant=is_distant,
        )


def _packs_shards(context: StreamContext, session: Session, alert_id: int) -> bool:
    """Whether shards are left that this process may pack; one for strangers' servers packs none."""
    return not context.strangers and bool(shards.open_shards(session, alert_id, 1))


def _condition(
    context: StreamContext,
    session: Session,
    alert_id: int,
    alert: Outgoing,
    provider: str,
    *,
    held: bool,
) -> Condition:
    """Return how a channel begins. A held provider is tried where its probe is due.

    No stranger's server shows that a provider works again.
    """
    if provider in alert.rejected_by:
        return Ended(on_record=True)
    if not held:
        return Open()
    is_due = not context.strangers and _may_probe(context, session, alert_id, alert, provider)
    return Probing() if is_due else Held(on_record=True)


def _may_probe(
    context: StreamContext, session: Session, alert_id: int, alert: Outgoing, provider: str
) -> bool:
    """Whether this stream tries a held provider: it must have a push to send through it."""
    parts = claimable_parts(context, provider)
    if alert.dry_run or not batch_claims.has_claimable(
        session, alert_id, [provider], strangers=parts
    ):
        return False
    return holds.take_probe(session, provider)
