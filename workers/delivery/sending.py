"""Requests into the gateway, as far as each channel's window, rate and pauses allow."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from service.domain.verdict import Accepted, DeviceRefused, TryLater
from workers.delivery.answers import AnswerReader, Flight
from workers.delivery.channel import Channel
from workers.delivery.clock import Clock
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.outgoing import Outgoing
from workers.delivery.stream_context import StreamContext
from workers.gateway.exchanges import Exchanges
from workers.provider import Request


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends the pushes of one alert."""

    context: StreamContext
    exchanges: Exchanges[Flight]
    alert: Outgoing
    clock: Clock
    reader: AnswerReader

    def fill(self, channel: Channel, until: float) -> None:
        """Fill the channel's window, but send nothing after `until`, of the monotonic clock.

        The moment is looked at before every push: the process may have been stopped in between.
        """
        room = min(self.exchanges.room(channel.name), channel.most_in_flight())
        if room > 0 and channel.budget <= 0:
            channel.grant(self.context.rates.take(channel.name, room, time.monotonic()))
        while room > 0 and channel.budget > 0 and (now := time.monotonic()) <= until:
            following = channel.next_item()
            if following is None:
                return
            batch, item = following
            if isinstance(item, Request):
                channel.spend(len(item.positions))
                room -= 1
                self._send(channel, batch, item, now)
                continue
            position, verdict = item
            if isinstance(verdict, Accepted):
                self.reader.accept(channel, batch, position, verdict, self._ms_since_due())
            else:
                self.reader.settle(channel, batch, position, verdict)

    def recall_unsent(self, channels: Iterable[Channel], *, of_all: bool) -> None:
        """Take back from the gateway what is not to leave any more, or not now."""
        for channel in channels:
            closed = channel.origins.pop_closed()
            if channel.pop_recall() or of_all:
                self._take_back(channel)
            elif closed:
                self._take_back_of(channel, closed)

    def _take_back(self, channel: Channel) -> None:
        """Let what waits in the gateway be unsent again: its turn had not come."""
        for flight in self.exchanges.recall(channel.name):
            self._unsend(flight)

    def _take_back_of(self, channel: Channel, origins: Collection[str]) -> None:
        """Postpone or end what waits in the gateway for origins that get nothing now."""
        for flight in self.exchanges.recall(channel.name, origins):
            self._unsend(flight)
            self._send(channel, flight.batch, flight.request, time.monotonic())

    def _unsend(self, flight: Flight) -> None:
        flight.batch.mark_answered(flight.request.positions)
        flight.channel.grant(len(flight.request.positions))

    def _send(self, channel: Channel, batch: LeasedBatch, request: Request, now: float) -> None:
        if self.alert.dry_run:
            self._pretend(channel, batch, request)
            return
        end = channel.origins.end_of(request.url)
        if end is not None:
            for position in request.positions:
                self.reader.settle(channel, batch, position, DeviceRefused(end))
            return
        wait = channel.origins.wait(request.url)
        if wait > 0:
            self._postpone(channel, batch, request, wait)
            return
        batch.mark_sent(request.positions)
        flight = Flight(request, channel, batch, channel.generation, now)
        self.exchanges.submit(channel.name, request, flight)

    def _pretend(self, channel: Channel, batch: LeasedBatch, request: Request) -> None:
        """Accept what a dry run would have sent."""
        at_ms = self._ms_since_due()
        for position in request.positions:
            self.reader.accept(channel, batch, position, Accepted(), at_ms)

    def _postpone(
        self, channel: Channel, batch: LeasedBatch, request: Request, wait: float
    ) -> None:
        """Let the push wait with its origin; it costs no attempt."""
        later = TryLater(
            "the push service asked for a pause", timedelta(seconds=wait), blameless=True
        )
        for position in request.positions:
            self.reader.settle(channel, batch, position, later)

    def _ms_since_due(self) -> int:
        return self.clock.ms_since(self.alert.due_at)
