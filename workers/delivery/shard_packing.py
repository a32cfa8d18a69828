"""One shard packed into batches, as this process packs them."""

from sqlmodel import Session

from service.store.deliveries import shards
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.replica import NO_REPLICA, Replica
from workers.delivery.stream_context import StreamContext


def pack_shard(
    context: StreamContext,
    session: Session,
    alert: PlannedAlert,
    n: int | None = None,
    *,
    replica: Replica = NO_REPLICA,
) -> bool:
    """Pack shard `n`, or the lowest open one, for the apps in use; False: there was none to pack.

    A `replica` may read the devices once the alert's start is on record.
    """
    return shards.fan_out(
        session,
        alert,
        context.names,
        n,
        known_servers=context.known_servers,
        results_by_default=context.settings.results_by_default,
        replica=replica,
    )
