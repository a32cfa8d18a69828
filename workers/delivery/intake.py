"""What a stream takes in: batches for its channels, and shards to fan out.

Where the database is distant, a thread of its own asks it while pushes are in flight, so that
answers are read and pushes leave meanwhile: a claim takes a round trip, and a fifth of a second
more when TCP loses a packet of it. The thread touches nothing of the stream, which takes over what
the thread brings. Beside a near database the two would only wait for each other: it costs the
sender 7 % of its CPU.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from typing import NamedTuple

import structlog

from service.store.deliveries.planned_alert import PlannedAlert
from service.store.session import DATABASE_AWAY
from workers.delivery.answers import Flight
from workers.delivery.channel import Channel
from workers.delivery.claiming import Claim, Claiming, FanOut
from workers.gateway.exchanges import Exchanges

log = structlog.get_logger()

DISTANT_WINDOWS = 2
"""How many windows of pushes are claimed ahead of a distant database: to pack a shard there takes
longer than one window lasts."""
DISTANT_ROUND_TRIP_S = 0.004
"""A database is distant when a round trip on the network takes longer."""
SLOW_S = 0.02
"""One whose answer to a claim takes longer is treated like a distant one."""
CLAIM_AGAIN_S = 0.25
CLAIM_AGAIN_PLANNING_S = 0.02


class Query(NamedTuple):
    """What the thread is doing: a claim for a channel, or without one a fan-out."""

    channel: Channel | None
    future: Future[Claim | FanOut | None]


class Intake:
    """Finds work for one stream. `shards` is set while shards are left to pack.

    `is_distant` says whether the database is far away.
    """

    def __init__(
        self,
        claiming: Claiming,
        exchanges: Exchanges[Flight],
        channels: Sequence[Channel],
        shards: PlannedAlert | None,
        *,
        is_distant: bool,
    ) -> None:
        self.shards = shards
        self._claiming = claiming
        self._exchanges = exchanges
        self._channels = channels
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="claims")
        self._query: Query | None = None
        self._is_distant = is_distant
        self._is_slow = False

    @property
    def is_pending(self) -> bool:
        """Whether the thread is asking the database."""
        return self._query is not None

    def has_nothing_to_claim(self) -> bool:
        """Whether every shard is packed and no channel that may send has a batch to claim.

        Where no channel may send we pack no shards either: other processes do.
        """
        if self.is_pending:
            return False
        now = time.monotonic()
        sending = [channel for channel in self._channels if channel.may_claim(now)]
        if not sending:
            return True
        return self.shards is None and all(each.has_nothing_to_claim() for each in sending)

    def await_query(self, seconds: float) -> None:
        """Wait so long for the thread, or just so long."""
        if self._query is None:
            time.sleep(seconds)
        else:
            wait([self._query.future], seconds)

    def claim_work(self) -> bool:
        """Claim a batch for a channel that could run short; fan a shard out when there is none.

        One at a time, so that what is ready leaves before more is. True: there may be more.
        """
        try:
            if self._query is None:
                return self._claim_next()
            return self._query.future.done() and self._take_over(self._query)
        except DATABASE_AWAY as error:
            # What is in flight must still be heard and written: the next write decides.
            log.warning(
                "nothing claimed", alert=self._claiming.alert_id, error=type(error).__name__
            )
            for channel in self._channels:
                channel.claim_after(CLAIM_AGAIN_S)
            return False

    def close(self) -> None:
        """End the thread, and keep what it has claimed to be given back."""
        query, self._query = self._query, None
        self._thread.shutdown()
        if query is None:
            return
        if (error := query.future.exception()) is not None:
            log.warning(
                "nothing claimed", alert=self._claiming.alert_id, error=type(error).__name__
            )
            return
        claim = query.future.result()
        if query.channel is not None and isinstance(claim, Claim):
            query.channel.add(claim.batch)

    def _claim_next(self) -> bool:
        wanting = self._wanting()
        for channel in wanting:
            if (repetition := self._claiming.repeat_due(channel)) is not None:
                self._claiming.take(channel, repetition)
                return True
            if self._asks_aside():
                self._begin(channel, partial(self._claiming.claim_batch, channel.name))
                return False
            if self._note_claim(channel, self._claim_here(channel.name)):
                return True
        return bool(wanting) and self._fan_out_shard()

    def _asks_aside(self) -> bool:
        """Whether the thread is to ask, not we: answers come in that we would leave unread."""
        return (self._is_distant or self._is_slow) and bool(self._exchanges.in_flight())

    def _claim_here(self, provider: str) -> Claim | None:
        """Claim in this thread, and see how long the database lets it wait."""
        began, computed = time.perf_counter(), time.thread_time()
        claim = self._claiming.claim_batch(provider)
        waited = time.perf_counter() - began - (time.thread_time() - computed)
        self._is_slow = waited > SLOW_S
        return claim

    def _wanting(self) -> list[Channel]:
        """Return the channels that could run short, the one with the least in hand first."""
        now = time.monotonic()
        wanting = [channel for channel in self._channels if channel.wants_batch(now)]
        return sorted(wanting, key=lambda channel: channel.backlog)

    def _begin(self, channel: Channel | None, ask: Callable[[], Claim | FanOut | None]) -> None:
        """Ask in the thread, as part of the stream's trace, and with its names in log lines."""
        self._query = Query(channel, self._thread.submit(copy_context().run, ask))

    def _take_over(self, query: Query) -> bool:
        """Take what the thread brings; where no channel has anything to claim, fan a shard out."""
        self._query = None
        result = query.future.result()
        if isinstance(result, FanOut):
            return self._note_fan_out(result)
        if query.channel is not None and self._note_claim(query.channel, result):
            return True
        return bool(self._wanting()) or self._fan_out_shard()

    def _note_claim(self, channel: Channel, claim: Claim | None) -> bool:
        if claim is None:
            channel.claim_after(CLAIM_AGAIN_S if self.shards is None else CLAIM_AGAIN_PLANNING_S)
            return False
        self._claiming.take(channel, claim)
        return True

    def _fan_out_shard(self) -> bool:
        """Fan the next shard out: no other process has come to it yet, and we run short."""
        if self.shards is None:
            return False
        if self._asks_aside():
            self._begin(None, partial(self._claiming.fan_out_shard, self.shards))
            return False
        return self._note_fan_out(self._claiming.fan_out_shard(self.shards))

    def _note_fan_out(self, fan_out: FanOut) -> bool:
        if not fan_out.more:
            self.shards = None
        if fan_out.was_packed:
            for channel in self._channels:
                channel.claim_soon()
        return fan_out.was_packed
