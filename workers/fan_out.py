"""Shards -> batches per provider. The one statement that does it stands in `store.shards`."""

from service import outbox
from service.domain.alert import queue_of
from service.store import shards
from workers import ending
from workers.process import Process


def fan_out_shard(process: Process, alert_id: int, n: int) -> None:
    """Pack one shard and ask for its delivery; a shard that is packed already is left alone."""
    with outbox.unit_of_work(process.engine, process.broker) as work:
        alert = shards.running(work.session, alert_id)
        if alert is None or not shards.fan_out(work.session, alert, process.names, n):
            return
        work.outbox.add(outbox.deliver(alert_id, queue_of(alert.frozen.urgency)))
    ending.end_if_done(process, alert_id)
