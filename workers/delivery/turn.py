"""One turn of one process at one alert: what its parts share."""

import time
from dataclasses import dataclass, field

from service.domain.alert import AlertState
from service.domain.subscription import Urgency
from service.store.deliveries.precedence import Precedence
from service.store.deliveries.shards import PlannedAlert
from workers.context import Process
from workers.delivery.channel import Lane
from workers.delivery.clock import Clock
from workers.delivery.leased_batch import Lease
from workers.delivery.outgoing import Outgoing
from workers.gateway.exchanges import Exchanges
from workers.provider import Request

Sent = tuple[Lane, Lease, int, Request]
"""What an answer's reader needs: the generation is the credential's that the request carried."""


@dataclass(slots=True)
class Turn:
    """`state` is the alert's, as of the last write; `packing` is set while shards are open.

    `starved` says that a lane wanted a batch and found none. `written_at` is when the last write
    succeeded, `tried_at` when the last was tried.
    """

    process: Process
    exchanges: Exchanges[Sent]
    alert_id: int
    out: Outgoing
    clock: Clock
    lanes: dict[str, Lane]
    packing: PlannedAlert | None
    starved: bool = False
    state: AlertState = AlertState.SENDING
    ahead: Precedence = field(default_factory=Precedence)
    begun: float = field(default_factory=time.monotonic)
    written_at: float = field(default_factory=time.monotonic)
    tried_at: float = field(default_factory=time.monotonic)
    write_failed: bool = False

    @property
    def stands_aside(self) -> bool:
        """Whether nothing new is to leave just now: a breaking alert is on its way."""
        return self.ahead.is_running and self.out.urgency is not Urgency.BREAKING

    @property
    def gives_way_to(self) -> int | None:
        """Return the breaking alert that waits for processes to help it, if we are to."""
        return None if self.out.urgency is Urgency.BREAKING else self.ahead.waiting_alert

    def leases(self) -> list[tuple[Lane, Lease]]:
        """Return every batch in our hands, with its lane."""
        return [(lane, lease) for lane in self.lanes.values() for lease in lane.leases.values()]
