"""Writing what we know: every batch under our lease in one statement, with its exceptions.

Only the holder of a lease writes; a batch that the write does not find was taken over by another
process. Where the database is distant, a thread writes while the stream goes on.
"""

import time
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
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
from workers.delivery.condition import Condition
from workers.delivery.judging import judge_devices
from workers.delivery.leased_batch import BatchExceptions, LeasedBatch
from workers.delivery.stream_context import StreamContext

log = structlog.get_logger()

LOCK_WAIT_S = 1.0
"""How long a write waits for a row that somebody holds; only a write aside lets answers be read."""


class ChannelBatch(NamedTuple):
    """A batch under our lease, with its channel; `idle`: it is to be given back."""

    channel: Channel
    batch: LeasedBatch
    idle: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What a write puts on record, as it was at one moment: any thread may write it.

    `exceptions` are those of the held batches, in their order; `rejections` the providers that
    rejected the alert.
    """

    terms: batch_writes.WriteTerms
    writes: Sequence[batch_writes.BatchWrite]
    providers: Sequence[str]
    exceptions: Sequence[BatchExceptions]
    rejections: Sequence[str]

    @property
    def has_exceptions(self) -> bool:
        """Whether more is to be written than states, waits and acceptances."""
        return bool(self.rejections) or any(any(each) for each in self.exceptions)


@dataclass(frozen=True, slots=True)
class Write:
    """A write that was begun, with what it writes.

    What it writes was so at `written_at`, of the monotonic clock, or later. `conditions` are the
    channels' when it began, by name.
    """

    held: Sequence[ChannelBatch]
    exceptions: Sequence[BatchExceptions]
    conditions: Mapping[str, Condition]
    future: Future[batch_writes.WriteResult]
    written_at: float


class Flush:
    """Writes the batches of one stream, one write at a time.

    A thread of its own writes aside. It touches nothing of the stream, which sends and reads
    answers meanwhile.
    """

    def __init__(self, context: StreamContext, alert_id: int) -> None:
        self._context = context
        self._alert_id = alert_id
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._begun: Write | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a write was begun and not taken over."""
        return self._begun is not None

    @property
    def is_done(self) -> bool:
        """Whether a write was begun that `take_over` would not wait for."""
        return self._begun is not None and self._begun.future.done()

    def begin(
        self, channels: Sequence[Channel], held: Sequence[ChannelBatch], *, aside: bool
    ) -> None:
        """Write the batches as they are now and what follows from it, `aside` in the thread.

        Whatever raises, nothing is forgotten: the same can be written again. What is said against
        devices is judged first.
        """
        conditions = {channel.name: channel.condition for channel in channels}
        exceptions: Sequence[BatchExceptions] = ()
        future: Future[batch_writes.WriteResult] = Future()
        began_at = time.monotonic()
        try:
            self._judge(held)
            record = self._record(channels, held)
            exceptions = record.exceptions
            if aside:
                future = self._thread.submit(copy_context().run, self._put, record)
            else:
                future.set_result(self._put(record))
        except DATABASE_AWAY as error:
            future.set_exception(error)
        written_at = began_at if aside else time.monotonic()
        self._begun = Write(held, exceptions, conditions, future, written_at)

    def take_over(self) -> Write | None:
        """Wait for the write that was begun, if one was; its result may raise."""
        write, self._begun = self._begun, None
        if write is not None:
            wait([write.future])
        return write

    def note_result(self, channels: Sequence[Channel], write: Write) -> None:
        """Let batches and channels learn from a write how things stand.

        What has happened to a channel meanwhile is newer than what the write reports of it.
        """
        result = write.future.result()
        for (_, batch, _), exceptions in zip(write.held, write.exceptions, strict=True):
            batch.note_written(exceptions)
        for each in channels:
            if each.condition == write.conditions[each.name]:
                each.note_written(held=each.name in result.held_providers, paused=result.is_paused)
        self._follow_apps(channels, result.apps_revision)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _follow_apps(self, channels: Sequence[Channel], revision: int) -> None:
        """Let the alert go on with the new credentials of an app that has changed.

        What cannot be read now is read after the next write.
        """
        try:
            with Session(self._context.engine) as session:
                self._context.follow_apps(session, revision)
        except DATABASE_AWAY as error:
            log.warning("apps not read", alert=self._alert_id, error=type(error).__name__)
        for channel in channels:
            provider = self._context.providers.get(channel.name)
            if provider is not None and provider is not channel.provider:
                channel.replace_provider(provider)

    def _judge(self, held: Sequence[ChannelBatch]) -> None:
        """Decide on what is said against devices of batches that are to be given back."""
        batches = [
            each for each in held if each.idle and (each.batch.doubts or each.batch.refusals)
        ]
        if not batches:
            return
        with transaction(self._context.engine) as session:
            for channel, batch, _ in batches:
                judge_devices(session, self._alert_id, channel, batch)

    def _record(self, channels: Sequence[Channel], held: Sequence[ChannelBatch]) -> Record:
        return Record(
            terms=batch_writes.WriteTerms(
                lease_s=self._context.settings.lease_s,
                providers=self._context.names,
                strangers=self._context.strangers,
            ),
            writes=[
                batch.write(give_back=idle, not_before_s=channel.pause_left())
                for channel, batch, idle in held
            ],
            providers=[channel.name for channel, _, _ in held],
            exceptions=[batch.exceptions() for _, batch, _ in held],
            rejections=[channel.name for channel in channels if channel.rejection_to_record],
        )

    def _put(self, record: Record) -> batch_writes.WriteResult:
        """Write a record, in one transaction; without exceptions it takes one round trip."""
        with counters.WRITE_FAILURES.count_exceptions(), counters.WRITE_SECONDS.time():
            if not record.has_exceptions:
                return batch_writes.write_alone(
                    self._context.engine,
                    self._alert_id,
                    record.writes,
                    record.terms,
                    LOCK_WAIT_S,
                )
            with transaction(self._context.engine) as session:
                limit_lock_waits(session, LOCK_WAIT_S)
                result = batch_writes.write(session, self._alert_id, record.writes, record.terms)
                for provider in dict.fromkeys([*record.providers, *record.rejections]):
                    self._put_exceptions(session, provider, record, result.batches)
                return result

    def _put_exceptions(
        self,
        session: Session,
        provider: str,
        record: Record,
        still_ours: Container[tuple[int, int]],
    ) -> None:
        """Forget dead devices, keep suspects, dead letters and tickets, together with the states.

        The devices of all batches at once: two alerts that forget the same ones must not lock them
        in different orders.
        """
        batches = [
            (write, exceptions)
            for name, write, exceptions in zip(
                record.providers, record.writes, record.exceptions, strict=True
            )
            if name == provider and (write.shard_n, write.n) in still_ours
        ]
        dead = [device for _, each in batches for device in each.dead_devices]
        devices.forget(session, dead, f"{provider} said it is gone")
        device_history.suspect(session, [each for _, of in batches for each in of.suspects])
        device_ids = [device for _, each in batches for device in each.refused_devices]
        device_history.note_refusals(session, device_ids)
        tickets = [ticket for _, each in batches for ticket in each.tickets]
        if tickets:
            follow_ups.keep(session, provider, tickets)
        for write, each in batches:
            for letter in each.dead_letters:
                place = (self._alert_id, write.shard_n, write.n, provider)
                dead_letters.bury(session, *place, letter.reason, letter.answer, letter.positions)
        if provider in record.rejections:
            alert_transitions.note_rejection(session, self._alert_id, provider)
