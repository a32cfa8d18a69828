"""Work taken from the database: a batch under a lease, or a shard to fan out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlmodel import Session

from service.domain.delivery import State
from service.store.deliveries import batch_claims, shards
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.readers.missed_alerts import missed_alerts
from service.store.replica import NO_REPLICA, Replica
from service.store.session import DATABASE_AWAY, limit_lock_waits, transaction
from service.tracing.spans import NO_SPAN
from workers.delivery.answers import AnswerReader
from workers.delivery.batch_span import begin_span
from workers.delivery.building import Builder
from workers.delivery.channel import Channel
from workers.delivery.clock import Clock
from workers.delivery.flushing import LOCK_WAIT_S
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.loading import targets_of
from workers.delivery.outgoing import Outgoing, digest_content
from workers.delivery.stream_context import StreamContext
from workers.provider import AlertContent, CredentialRefused, Target

log = structlog.get_logger()


class Claim(NamedTuple):
    """A batch under our lease, with the devices that are due."""

    batch: LeasedBatch
    targets: list[Target]
    content: AlertContent | None = None
    """What a digest says to these devices; None: what the alert says to all."""


class FanOut(NamedTuple):
    """Whether a shard was packed, and whether shards are left to pack."""

    was_packed: bool
    more: bool


def claimable_parts(context: StreamContext, provider: str) -> tuple[bool, ...]:
    """Return which batches of a provider this process claims: `strangers` is one of these.

    Where strangers' servers are not allowed any more, what was packed for them is like the rest.
    """
    if context.strangers:
        return (True,)
    return (False,) if provider in context.known_servers else batch_claims.EITHER


@dataclass(frozen=True, slots=True)
class Claiming:
    """Takes work for one stream."""

    context: StreamContext
    alert_id: int
    alert: Outgoing
    clock: Clock
    builder: Builder
    reader: AnswerReader

    def take(self, channel: Channel, claim: Claim) -> None:
        """Queue the pushes of a claim; a channel that may not send gives its batch back."""
        if claim.batch.span is NO_SPAN:
            begin_span(self.alert_id, channel, claim.batch, len(claim.targets))
        channel.add(claim.batch)
        if not channel.may_send:
            return
        try:
            content = claim.content or self.alert.content_for(claim.batch)
            alert_form = self.builder.prepare(channel, content)
        except CredentialRefused as refusal:
            self.reader.lack_credential(channel, refusal.verdict)
            return
        items = self.builder.build(channel, claim.batch, alert_form.pushes, claim.targets)
        channel.enqueue(claim.batch, items, len(claim.targets))

    def repeat_due(self, channel: Channel) -> Claim | None:
        """Load what is due again of a batch that waits for the answers of silent devices only."""
        for batch in channel.batches.values():
            if channel.waits_for_answers_only(batch) and batch.end_waits():
                due = batch.positions_due()
                with transaction(self.context.engine) as session:
                    rows = batch_claims.load_devices(session, self.alert_id, *batch.key, due)
                return self._claim(batch, rows)
        return None

    def claim_batch(self, provider: str) -> Claim | None:
        """Claim one batch of the provider and load its devices; None when there is none.

        Any thread may: it reads and writes nothing of the stream.
        """
        claimed = batch_claims.claim_alone(
            self.context.engine,
            self.alert_id,
            provider,
            lease_s=self.context.settings.lease_s,
            lock_wait_s=LOCK_WAIT_S,
            deadline=self.alert.expires_at,
            strangers=claimable_parts(self.context, provider),
            holder=self.context.holder,
        )
        if claimed is None:
            return None
        deadline = min(claimed.expires_at or self.alert.expires_at, self.alert.expires_at)
        batch = LeasedBatch(claimed, deadline, self.clock.now)
        if deadline <= self.clock.now():
            batch.close_unsent(State.EXPIRED)
        try:
            return self._claim(batch, claimed.devices)
        except DATABASE_AWAY as error:  # it is ours all the same: the next write gives it back
            log.warning("words not read", alert=self.alert_id, error=type(error).__name__)
            return Claim(batch, [])

    def _claim(self, batch: LeasedBatch, rows: Sequence[batch_claims.DeviceFields]) -> Claim:
        """Return a batch with its devices, and what a digest says to them: what still holds."""
        targets = targets_of(batch, self.alert_id, rows, self.context.secret)
        if not batch.claim.missed:
            return Claim(batch, targets)
        with transaction(self.context.engine) as session:
            missed = missed_alerts(session, batch.claim.missed)
        if not missed:
            batch.close([target.position for target in targets], State.CANCELLED)
            return Claim(batch, [])
        return Claim(batch, targets, digest_content(self.alert.content, missed))

    def fan_out_shard(self, alert: PlannedAlert) -> FanOut:
        """Pack the lowest shard that no other process is packing."""
        with transaction(self.context.engine) as session:
            limit_lock_waits(session, LOCK_WAIT_S)
            was_packed = pack_shard(self.context, session, alert, replica=self.context.replica)
            return FanOut(
                was_packed, was_packed or bool(shards.open_shards(session, self.alert_id, 1))
            )


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
        without_receipts=context.without_receipts,
        results_by_default=context.settings.results_by_default,
        replica=replica,
    )
