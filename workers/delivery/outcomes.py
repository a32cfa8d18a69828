"""What effects do to a provider's channel, and to one delivery and its device."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from service.domain.delivery import Delivery, State
from service.domain.network import origin_of
from service.domain.verdict import FollowUp
from service.store.operations import holds
from service.store.session import DATABASE_AWAY, limit_lock_waits, transaction
from workers.delivery.channel import Channel
from workers.delivery.clock import Clock
from workers.delivery.effects import Outcome
from workers.delivery.flushing import LOCK_WAIT_S
from workers.delivery.leased_batch import Doubt, LeasedBatch
from workers.delivery.loading import quote
from workers.delivery.stream_context import StreamContext
from workers.provider import Answer, Position, Request

log = structlog.get_logger()


@dataclass(slots=True)
class ChannelOutcome(Outcome):
    """What effects do to a provider's channel."""

    context: StreamContext
    alert_id: int
    clock: Clock
    channel: Channel

    def pause_provider(self, duration: timedelta) -> None:
        """Pause the channel, and build again what was to be built: it may wait long."""
        self.channel.pause(duration.total_seconds())
        self.channel.drop_unsent()

    def throttle_provider(self, duration: timedelta) -> None:
        """Pause the channel and the shared rate."""
        seconds = duration.total_seconds()
        self.context.rates.pause(self.channel.name, seconds)
        self.channel.pause(seconds)

    def lower_rate(self, share: float) -> None:
        """Lower the shared rate."""
        self.context.rates.lower(self.channel.name, share)

    def reconnect(self) -> None:
        """Leave the present connections to what is in flight on them."""
        self.context.gateway.refresh(self.channel.name)

    def mint_credential(self, why: str) -> None:
        """Drop the credential; hold the provider where the next would be the same."""
        if self.channel.is_held:
            return
        if self.context.credentials.reject(self.channel.provider, self.clock.now()):
            self.channel.drop_credential()
        else:
            self.hold_provider(why)

    def hold_provider(self, why: str) -> None:
        """Hold the provider for every alert; doubts of it were doubts of us."""
        if self.channel.is_held or self.channel.has_ended:
            return
        self.channel.hold(on_record=self._record_hold(why))
        log.error("provider held", provider=self.channel.name, reason=why)
        for batch, position, _ in self._doubts():
            batch.spare_doubted(position, why)

    def hold_origin(self, why: str, origin: str, duration: timedelta) -> None:
        """Leave one origin alone, in this stream; doubts that came from it were doubts of us."""
        log.error("origin held", provider=self.channel.name, reason=why)
        self.channel.origins.hold(origin, duration.total_seconds())
        for batch, position, doubt in self._doubts():
            if doubt.origin == origin:
                batch.spare_doubted(position, why, duration.total_seconds())

    def _doubts(self) -> list[tuple[LeasedBatch, Position, Doubt]]:
        batches = self.channel.batches.values()
        return [(batch, *doubt) for batch in batches for doubt in batch.doubts.items()]

    def _record_hold(self, why: str) -> bool:
        try:
            with transaction(self.context.engine) as session:
                limit_lock_waits(session, LOCK_WAIT_S)
                holds.hold(session, self.channel.name, why, holds.WORKER)
        except DATABASE_AWAY as error:
            # Answers that came must still be read; the next stream will meet the same refusal.
            log.warning("hold not written", provider=self.channel.name, error=type(error).__name__)
            return False
        return True

    def end_alert(self, why: str) -> None:
        """End the alert on the provider: what was tried is buried, the rest is cancelled."""
        if self.channel.has_ended:
            return
        self._log_rejection(why)
        self.channel.end()
        for batch in self.channel.batches.values():
            batch.close_unsent(State.CANCELLED)

    def end_alert_at_origin(self, why: str, origin: str) -> None:
        """Bury what would still leave for the origin: a person may replay it."""
        self._log_rejection(why)
        self.channel.origins.end(origin, why)

    def _log_rejection(self, why: str) -> None:
        log.error("alert rejected", alert=self.alert_id, provider=self.channel.name, reason=why)


class Push(NamedTuple):
    """One push and its answer; `before` is the delivery as it was. No request: nothing was sent."""

    batch: LeasedBatch
    position: Position
    before: Delivery
    request: Request | None
    answer: Answer | None


@dataclass(slots=True)
class PushOutcome(ChannelOutcome):
    """What effects do to one delivery, its device and its channel."""

    push: Push

    def forget_device(self, since: datetime) -> None:
        """Note the dead device."""
        self.push.batch.forget_device(self.push.position, since)

    def doubt_device(self, why: str) -> None:
        """Note the doubt, and what to go back to if it was our own mistake."""
        origin = self.channel.origin_answering(self.push.request)
        doubt = Doubt(why, self._quote(), origin, self.clock.now(), self.push.before)
        self.push.batch.doubt_device(self.push.position, doubt)

    def bury(self, why: str, *, of_device: bool) -> None:
        """Note the dead letter with the answer, without anything that could be an address."""
        self.push.batch.bury(self.push.position, why, self._quote())
        if of_device and self.push.answer is not None:
            origin = self.channel.origin_answering(self.push.request)
            self.push.batch.refuse_device(self.push.position, origin)

    def _quote(self) -> str:
        return quote(self.push.answer) if self.push.answer else ""

    def keep_ticket(self, follow_up: FollowUp) -> None:
        """Note the ticket."""
        self.push.batch.keep_ticket(self.push.position, follow_up)

    def pause_origin(self, duration: timedelta) -> None:
        """Pause the origin that answered."""
        if self.push.request is not None:
            origin = origin_of(self.push.request.url)
            self.channel.origins.pause(origin, duration.total_seconds())
