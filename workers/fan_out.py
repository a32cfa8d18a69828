"""Shards -> batches per provider. The one statement that does it stands in `store.shards`."""

from sqlmodel import Session

from service import outbox
from service.domain.alert import queue_of
from service.store.deliveries import shards
from service.unit_of_work import unit_of_work
from workers.context import WorkerContext
from workers.delivery import alert_end
from workers.delivery.claiming import pack_shard

MORE_SHARDS = 3
"""Every shard asks for so many more: a few hand-overs reach as many processes as are idle, and
the first push does not wait for a message per shard."""


def fan_out_shard(context: WorkerContext, alert_id: int, n: int) -> None:
    """Pack one shard and ask for its delivery; a shard that is packed already is left alone."""
    with unit_of_work(context.engine, context.broker) as work:
        alert = shards.planned_alert(work.session, alert_id)
        if alert is None:
            return
        context.follow_apps(work.session, alert.apps_revision)
        if not pack_shard(context, work.session, alert, n, replica=context.replica):
            return
        queue = queue_of(alert.audience.urgency)
        if alert.leaves_at_once:  # otherwise the sweep does, when it is released
            work.outbox.add(outbox.deliver(alert_id, queue))
            if context.known_servers:
                work.outbox.add(outbox.deliver_strangers(alert_id))
        for child in open_children(work.session, alert_id, n):
            work.outbox.add(outbox.fan_out_shard(alert_id, child, queue))
    alert_end.end_if_done(context, alert_id)


def open_children(session: Session, alert_id: int, n: int) -> list[int]:
    """Return the shards that shard `n` is to ask for: of a tree, so that each is asked for once.

    Where a message was lost, a stream that has no batches left packs the shard, or the sweep asks.
    """
    first = n * MORE_SHARDS + 1
    numbers = shards.open_shards(session, alert_id, MORE_SHARDS, first)
    return [child for child in numbers if child < first + MORE_SHARDS]
