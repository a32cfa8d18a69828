"""One alert's open batches as one continuous stream of requests.

Batches are claimed, loaded and built while earlier ones are in flight, and each is settled as its
last answer arrives. The stream owns its state: its parts take values and return them.

    claiming -> building -> sending -> gateway -> answers -> flushing
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum

import structlog

from service.domain.alert import AlertState
from service.domain.delivery import State
from service.domain.subscription import Urgency
from service.outbox import QUEUES, STRANGERS_QUEUE
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.deliveries.precedence import Precedence
from service.store.session import DATABASE_AWAY
from workers.delivery.answers import AnswerReader, Flight
from workers.delivery.batch_span import end_span, end_spans
from workers.delivery.building import Builder
from workers.delivery.channel import Channel
from workers.delivery.claiming import Claiming
from workers.delivery.clock import Clock
from workers.delivery.flushing import ChannelBatch, Flush
from workers.delivery.intake import Intake
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.outgoing import Outgoing
from workers.delivery.sending import Sending
from workers.delivery.stream_context import StreamContext
from workers.gateway.exchanges import Exchanges

log = structlog.get_logger()

STREAM_S = 10.0
"""How long a stream goes on while other work waits."""
LAST_ANSWERS_S = 4.0
"""How long a process that was told to end waits for what is in flight."""
IDLE_S = 0.005
FAULT_PAUSE_S = 5.0
"""How long batches are left alone after a fault of ours: it will meet the next holder too."""
STALE_S = 1.0
"""Nothing new leaves so long after the last write: only what is in flight could be sent twice."""
THREAD_LOOK_S = 0.001
"""How long answers are waited for at a time while a thread asks the database for us."""


class End(Enum):
    """Why a stream ended."""

    EMPTY = "nothing left to claim"
    OVER = "the alert has ended"
    YIELDED = "the stream made way for other work"
    LOST = "the database would not take what we know"


class Stream:
    """One process's work on one alert, until nothing is left, it must make way, or it is over.

    `shards` is set where shards are left to pack. `state` is the alert's, `precedence` what goes
    before it, as of the last write. `is_distant` says whether the database is far away.
    """

    def __init__(
        self,
        context: StreamContext,
        alert_id: int,
        alert: Outgoing,
        clock: Clock,
        *,
        channels: Sequence[Channel],
        shards: PlannedAlert | None,
        precedence: Precedence,
        is_distant: bool = False,
    ) -> None:
        self.alert = alert
        self.precedence = precedence
        self._context = context
        self._alert_id = alert_id
        self._clock = clock
        self._channels = channels
        self._state = AlertState.SENDING
        self._started_at = self._written_at = self._tried_at = time.monotonic()
        self._write_failed = False
        self._exchanges = Exchanges[Flight](context.gateway)
        self._reader = AnswerReader(context, self._exchanges, alert_id, clock)
        builder = Builder(context, alert_id, clock)
        claiming = Claiming(context, alert_id, alert, clock, builder, self._reader)
        self._intake = Intake(claiming, self._exchanges, channels, shards, is_distant=is_distant)
        self._sending = Sending(context, self._exchanges, alert, clock, self._reader)
        self._flush = Flush(context, alert_id)
        self._is_distant = is_distant

    @property
    def makes_way_for(self) -> int | None:
        """Return the breaking alert that waits for processes to help it, if we are to."""
        return None if self.alert.urgency is Urgency.BREAKING else self.precedence.waiting_alert

    def run(self) -> End:
        """Send until there is a reason to end.

        Whatever raises, what was accepted by then is put on record: nobody is pushed again for it.
        """
        self._exchanges.leave_until(self._written_at + STALE_S)
        try:
            return self._run()
        except Exception:
            self._break_off()
            raise
        finally:
            self._intake.close()
            self._flush.close()
            self._exchanges.leave_until(math.inf)
            self._reader.publish(self._channels, at_once=True)
            end_spans(self._batches())

    def _run(self) -> End:
        while (end := self._next_end()) is None:
            more = False
            if not self._stands_aside():
                more = self._intake.claim_work()
                self._send()
            self._listen(wait=not more)
            self._sending.recall_unsent(self._channels, of_all=self._stands_aside())
            if not self._keep_record():
                return End.LOST
        self._intake.close()
        if not self._conclude_write():
            return End.LOST
        for channel in self._channels:
            channel.drop_unsent()
        return end if self._wind_up(end) else End.LOST

    def _keep_record(self) -> bool:
        """Take over what was written meanwhile, and write when it is due; False as `_write`."""
        if self._flush.is_pending:
            return not self._flush.is_done or self._conclude_write()
        if not self._write_is_due():
            return True
        self._reader.judge_rates(self._channels)
        return self._write(may_go_on=True)

    def _next_end(self) -> End | None:
        """Take more time where there may be more, and return why to end, if there is a reason."""
        is_late = time.monotonic() - self._started_at > STREAM_S
        if is_late and self._may_go_on():
            self._started_at, is_late = time.monotonic(), False
        return self._reason_to_end(is_late=is_late)

    def _wind_up(self, end: End) -> bool:
        """Wait for the last answers and give everything back; False: the database took nothing.

        The gateway answers every request within its own timeout, so a slow provider's pushes are
        never given up on and sent again. Only a process that was told to end waits for less.
        """
        stopped_at: float | None = None
        while self._batches():
            self._sending.recall_unsent(self._channels, of_all=True)
            if self._context.stopping.is_set():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > LAST_ANSWERS_S:
                    self._reader.give_up_waiting(self._batches(), end.value)
            self._close_unsent()
            if self._write_is_due() and not self._write():
                return False
            self._listen(wait=True)
        return True

    def _break_off(self) -> None:
        """Write what we know and give everything back; nothing that may raise again is tried."""
        log.error("stream broken off", alert=self._alert_id)
        self._intake.close()
        self._flush.take_over()
        for channel in self._channels:
            channel.pause(FAULT_PAUSE_S)
        with suppress(Exception):
            self._sending.recall_unsent(self._channels, of_all=True)
        self._reader.give_up_waiting(self._batches(), "the sender failed")
        while self._batches() and self._write():
            if self._write_failed:
                time.sleep(self._context.settings.flush_ms / 1000)

    def _reason_to_end(self, *, is_late: bool) -> End | None:
        if self._alert_is_over():
            return End.OVER
        if is_late or self._context.stopping.is_set() or self.makes_way_for is not None:
            return End.YIELDED
        return End.EMPTY if not self._batches() and self._intake.has_nothing_to_claim() else None

    def _alert_is_over(self) -> bool:
        return not self._state.running or self._clock.now() >= self.alert.expires_at

    def _may_go_on(self) -> bool:
        """Whether a stream whose time is up may go on: no message waits, not even the sweep's.

        A breaking alert goes on beside messages of the normal queue.
        """
        of_all = QUEUES[:1] if self.alert.urgency is Urgency.BREAKING else QUEUES
        queues = (STRANGERS_QUEUE,) if self._context.strangers else of_all
        return not any(self._context.waiting(queue) for queue in queues)

    def _stands_aside(self) -> bool:
        """Whether nothing new is to leave just now, for a breaking alert is on its way."""
        return self.precedence.is_running and self.alert.urgency is not Urgency.BREAKING

    def _batches(self) -> list[tuple[Channel, LeasedBatch]]:
        return [(each, batch) for each in self._channels for batch in each.batches.values()]

    def _send(self) -> None:
        for channel in self._channels:
            if channel.queue and channel.may_send:
                self._sending.fill(channel, self._written_at + STALE_S)

    def _listen(self, *, wait: bool) -> None:
        """Wait for answers, but not past the next write or what a thread brings, and read them."""
        longest = self._tried_at + self._context.settings.flush_ms / 1000 - time.monotonic()
        if self._intake.is_pending or self._flush.is_pending:
            longest = THREAD_LOOK_S
        if self._exchanges.in_flight() == 0:
            may_find_work = self._intake.is_pending or self._intake.shards is not None
            if wait and (self._batches() or may_find_work or self._stands_aside()):
                self._intake.await_query(max(min(longest, IDLE_S), 0.0))
            return
        answers = self._exchanges.poll(max(longest, 0.001) if wait else 0)
        self._reader.read_all(answers, self._clock.ms_since(self.alert.due_at))

    def _close_unsent(self) -> None:
        """Of an alert that is over, close what never left: cancelled, or expired when overdue."""
        if self._alert_is_over():
            state = State.EXPIRED if self._state.running else State.CANCELLED
            for _, batch in self._batches():
                batch.close_unsent(state)

    def _write_is_due(self) -> bool:
        """Whether the timer says so, or everything we hold is answered and can be given back.

        The timer alone decides where the database took nothing the last time. A write with nothing
        new renews the leases.
        """
        if time.monotonic() - self._tried_at >= self._context.settings.flush_ms / 1000:
            return True
        batches = self._batches()
        return (
            bool(batches)
            and not self._write_failed
            and all(channel.is_idle(batch) for channel, batch in batches)
        )

    def _write(self, *, may_go_on: bool = False) -> bool:
        """Write every batch under our lease and give back those that are through.

        A stream that `may_go_on` does so while a distant database is written to. False: the
        database took nothing for so long that the leases have run out; what we hold is another
        process's by now.
        """
        self._tried_at = time.monotonic()
        self._write_failed = True
        self._reader.publish(self._channels)
        held = [
            ChannelBatch(channel, batch, channel.is_idle(batch))
            for channel, batch in self._batches()
        ]
        aside = may_go_on and self._is_distant and self._exchanges.in_flight() > 0
        self._flush.begin(self._channels, held, aside=aside)
        return not self._flush.is_done or self._conclude_write()

    def _conclude_write(self) -> bool:
        """Take over what the write reports, if one was begun; False as `_write`."""
        if (write := self._flush.take_over()) is None:
            return True
        try:
            result = write.future.result()
        except DATABASE_AWAY as error:
            log.warning("states not written", alert=self._alert_id, error=type(error).__name__)
            return time.monotonic() - self._written_at < self._context.settings.lease_s
        for channel, batch, idle in write.held:
            is_ours = batch.key in result.batches
            if not is_ours:
                log.warning("batch taken over", alert=self._alert_id, batch=batch.key)
            if idle or not is_ours:
                channel.give_up(batch)
                end_span(batch, "given back" if is_ours else "taken over")
        self._written_at = write.written_at
        self._exchanges.leave_until(self._written_at + STALE_S)
        self._write_failed = False
        self._state = result.state
        self.precedence = result.precedence
        self._flush.note_result(self._channels, write)
        return True
