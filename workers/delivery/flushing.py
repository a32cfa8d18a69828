"""Writing what we know: every batch under our lease in one statement, with its exceptions.

Only the holder of a lease writes; a batch that the write does not find was taken over by another
process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlmodel import Session

from service.store.alerts import alert_transitions
from service.store.deliveries import batch_writes, dead_letters, follow_ups
from service.store.readers import device_history, devices
from service.store.session import DATABASE_AWAY, limit_lock_waits, transaction
from workers import counters
from workers.delivery.channel import Channel
from workers.delivery.judging import judge_devices
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.stream_context import StreamContext

log = structlog.get_logger()

LOCK_WAIT_S = 1.0
"""How long a write waits for a row that somebody holds; meanwhile no answer is read."""


class ChannelBatch(NamedTuple):
    """A batch under our lease, with its channel; `idle`: it is to be given back."""

    channel: Channel
    batch: LeasedBatch
    idle: bool


@dataclass(frozen=True, slots=True)
class Flush:
    """Writes the batches of one stream."""

    context: StreamContext
    alert_id: int

    def write(
        self, channels: Sequence[Channel], held: Sequence[ChannelBatch]
    ) -> batch_writes.WriteResult:
        """Write every batch and what follows from it, in one transaction.

        Whatever raises, nothing is forgotten: the same can be written again. Without exceptions it
        takes one round trip.
        """
        with counters.WRITE_FAILURES.count_exceptions(), counters.WRITE_SECONDS.time():
            if has_exceptions(channels, held):
                result = self._write_with_exceptions(channels, held)
            else:
                result = batch_writes.write_alone(
                    self.context.engine, self.alert_id, _writes(held), self._holder(), LOCK_WAIT_S
                )
        for _, batch, _ in held:
            batch.note_written()
        self._follow_apps(channels, result.apps_revision)
        return result

    def _write_with_exceptions(
        self, channels: Sequence[Channel], held: Sequence[ChannelBatch]
    ) -> batch_writes.WriteResult:
        with transaction(self.context.engine) as session:
            limit_lock_waits(session, LOCK_WAIT_S)
            for channel, batch, idle in held:
                if idle:
                    judge_devices(session, self.alert_id, channel, batch)
            result = batch_writes.write(session, self.alert_id, _writes(held), self._holder())
            for channel in channels:
                still_ours = [b for of, b, _ in held if of is channel and b.key in result.batches]
                self._write_exceptions(session, channel, still_ours)
            return result

    def _holder(self) -> batch_writes.Holder:
        return batch_writes.Holder(
            lease_s=self.context.settings.lease_s,
            providers=self.context.names,
            strangers=self.context.strangers,
        )

    def _follow_apps(self, channels: Sequence[Channel], revision: int) -> None:
        """Let the alert go on with the new credentials of an app that has changed.

        What cannot be read now is read after the next write.
        """
        try:
            with transaction(self.context.engine) as session:
                self.context.follow_apps(session, revision)
        except DATABASE_AWAY as error:
            log.warning("apps not read", alert=self.alert_id, error=type(error).__name__)
        for channel in channels:
            provider = self.context.providers.get(channel.name)
            if provider is not None and provider is not channel.provider:
                channel.replace_provider(provider)

    def _write_exceptions(
        self, session: Session, channel: Channel, batches: Sequence[LeasedBatch]
    ) -> None:
        """Forget dead devices, keep suspects, dead letters and tickets, together with the states.

        The devices of all batches at once: two alerts that forget the same ones must not lock them
        in different orders.
        """
        dead = [device for batch in batches for device in batch.dead_devices]
        devices.forget(session, dead, f"{channel.name} said it is gone")
        device_history.suspect(session, [each for batch in batches for each in batch.suspects])
        device_ids = [device for batch in batches for device in batch.refused_devices]
        device_history.note_refusals(session, device_ids)
        tickets = [ticket for batch in batches for ticket in batch.tickets]
        if tickets:
            follow_ups.keep(session, channel.name, tickets)
        for batch in batches:
            for letter in batch.dead_letters():
                place = (self.alert_id, *batch.key, channel.name)
                dead_letters.bury(session, *place, letter.reason, letter.answer, letter.positions)
        if channel.rejection_to_record:
            alert_transitions.note_rejection(session, self.alert_id, channel.name)


def has_exceptions(channels: Sequence[Channel], held: Sequence[ChannelBatch]) -> bool:
    """Whether more is to be judged or written than states, waits and acceptances."""
    if any(channel.rejection_to_record for channel in channels):
        return True
    batches = [batch for _, batch, _ in held]
    return any(batch.doubts or batch.refusals for _, batch, idle in held if idle) or any(
        b.dead_devices or b.suspects or b.refused_devices or b.buried or b.tickets for b in batches
    )


def _writes(held: Sequence[ChannelBatch]) -> list[batch_writes.BatchWrite]:
    return [
        batch.write(give_back=idle, not_before_s=channel.pause_left())
        for channel, batch, idle in held
    ]
