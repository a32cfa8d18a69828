"""From an answer to a settled delivery: the provider reads it, `next_step` and `judge` decide."""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from service.domain.delivery import Delivery
from service.domain.effect import Effect, HoldProvider, MintCredential
from service.domain.evidence import judge, judge_missing_credential, judge_rate
from service.domain.verdict import (
    Accepted,
    DeviceRefused,
    NotAccepted,
    TryLater,
    Verdict,
    limit_to_device,
)
from service.store.operations import holds
from service.store.readers import device_history
from service.store.session import DATABASE_AWAY, limit_lock_waits, transaction
from workers.counters import AnswerTally
from workers.delivery.channel import Channel
from workers.delivery.clock import Clock
from workers.delivery.effects import apply
from workers.delivery.flushing import LOCK_WAIT_S
from workers.delivery.judging import read_record
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.loading import quote
from workers.delivery.outcomes import ChannelOutcome, Push, PushOutcome
from workers.delivery.stream_context import StreamContext
from workers.gateway.exchanges import Exchanges
from workers.provider import Answer, Failure, KnownServers, Position, Request

log = structlog.get_logger()


class Flight(NamedTuple):
    """A request on its way: what its answer is read with. `sent_at` is of the monotonic clock."""

    request: Request
    channel: Channel
    batch: LeasedBatch
    generation: int
    sent_at: float


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """Reads answers and settles deliveries, for one stream."""

    context: StreamContext
    exchanges: Exchanges[Flight]
    alert_id: int
    clock: Clock
    tally: AnswerTally = field(default_factory=AnswerTally)

    def read_all(self, answers: Sequence[tuple[Flight, Answer]], at_ms: int) -> None:
        """Settle what the answers are about; the first of them is timed."""
        if answers:
            first, _ = answers[0]
            self.tally.time_answer(first.channel.name, first.sent_at)
        for flight, answer in answers:
            self.read(flight, answer, at_ms)

    def publish(self, channels: Iterable[Channel], *, at_once: bool = False) -> None:
        """Report what was answered; at a stream's end at once."""
        in_flight = self.context.gateway.in_flight
        counts = ((channel.name, in_flight(channel.name)) for channel in channels)
        self.tally.publish(counts, at_once=at_once)

    def read(self, flight: Flight, answer: Answer, at_ms: int) -> None:
        """Settle the positions that a request carried."""
        request, channel, batch, generation, _ = flight
        if answer.failure is not None or channel.way.not_sent:
            self._note_way(channel, request, answer)
        try:
            verdicts = channel.provider.read_answer(answer, request.positions)
        except Exception as error:  # noqa: BLE001 - whatever it was, the other answers are read
            verdicts = self._unreadable(channel, batch, request, error)
        batch.mark_answered(request.positions)
        for position, verdict in zip(request.positions, verdicts, strict=True):
            self.tally.verdicts[channel.name, type(verdict)] += 1
            if isinstance(verdict, Accepted):
                self.accept(channel, batch, position, verdict, at_ms, request)
            else:
                stale = generation != channel.generation
                self.settle(channel, batch, position, verdict, request, answer, stale=stale)

    def _note_way(self, channel: Channel, request: Request, answer: Answer) -> None:
        """Note whether the push left this process; where nothing does, claim nothing more."""
        if answer.failure is not None:
            self.tally.note_failure(channel.name, answer.failure)
        if answer.failure is not Failure.NOT_SENT:
            if answer.failure is not Failure.FORBIDDEN and channel.way.note_answer():
                self.context.ways.note.clear()
                log.info("pushes leave again", provider=channel.name)
            return
        now, pushes = time.monotonic(), len(request.positions)
        if _is_known_server(channel, request) and channel.way.note_not_sent(now, pushes):
            channel.drop_unsent()
            reason = quote(answer)
            self.context.ways.note.write(f"{channel.name}: {reason}")
            log.error("nothing leaves this process", provider=channel.name, reason=reason)

    def _unreadable(
        self, channel: Channel, batch: LeasedBatch, request: Request, fault: Exception
    ) -> Sequence[Verdict]:
        """Bury what a fault of ours cannot read the answer of: a repetition would fail again."""
        kind = type(fault).__name__
        log.error("answer not read", provider=channel.name, batch=batch.key, error=kind)
        why = f"its answer could not be read ({kind})"
        return [DeviceRefused(why, unknown=True)] * len(request.positions)

    def accept(
        self,
        channel: Channel,
        batch: LeasedBatch,
        position: Position,
        verdict: Accepted,
        at_ms: int,
        request: Request | None = None,
    ) -> None:
        """Note an acceptance; this is the path of nearly every push, so it is short."""
        batch.accept(position, at_ms)
        channel.evidence.count_acceptance(channel.origin_answering(request))
        if verdict.follow_up is not None:
            batch.keep_ticket(position, verdict.follow_up)
        if channel.is_probing and request is not None:
            self._release(channel)

    def settle(
        self,
        channel: Channel,
        batch: LeasedBatch,
        position: Position,
        verdict: NotAccepted,
        request: Request | None = None,
        answer: Answer | None = None,
        *,
        stale: bool = False,
    ) -> None:
        """Settle one position by any other verdict, and do what else the verdict asks for.

        `stale` answers speak of a credential that was replaced meanwhile: they hold nobody.
        """
        counts = answer is None or self._speaks_for_others(channel, batch, position)
        if not counts and _is_known_server(channel, request):
            verdict = limit_to_device(verdict)
        before = Delivery.unpack(batch.states[position])
        jitter = random.random()  # noqa: S311 - it spreads retries, it hides nothing
        step = batch.settle(position, verdict, jitter)
        push = Push(batch, position, before, request, answer)
        outcome = PushOutcome(self.context, self.alert_id, self.clock, channel, push)
        effects = step.effects
        if stale:
            effects = tuple(e for e in effects if not isinstance(e, MintCredential | HoldProvider))
        apply(effects, outcome)
        if answer is not None:
            is_known = _is_known_server(channel, request)
            origin = channel.origin_answering(request)
            channel.evidence.count(verdict, origin, counts=counts, known=is_known)
            if counts:
                apply(self._judge(channel, verdict, request), outcome)

    def _speaks_for_others(self, channel: Channel, batch: LeasedBatch, position: Position) -> bool:
        """Whether what is answered about this address may concern others; see `evidence`."""
        if batch.history_of(position).accepted_before:
            return True
        return not self._was_ever_accepted(channel)

    def _was_ever_accepted(self, channel: Channel) -> bool:
        """Whether the provider has accepted any device; True too while nobody can tell."""
        if channel.ever_accepted is None:
            try:
                with transaction(self.context.engine) as session:
                    ever = device_history.has_accepted_device(session, channel.name)
            except DATABASE_AWAY:
                return True
            channel.note_ever_accepted(ever=ever)
            return ever
        return channel.ever_accepted

    def _judge(
        self, channel: Channel, verdict: NotAccepted, request: Request | None
    ) -> tuple[Effect, ...]:
        origin = channel.origin_answering(request)
        if self._call_for(channel, verdict, origin) is None:
            return ()
        try:
            with transaction(self.context.engine) as session:
                read_record(session, self.alert_id, channel, origin)
        except DATABASE_AWAY:
            return ()
        effect = self._call_for(channel, verdict, origin)
        return (effect,) if effect is not None else ()

    def _call_for(self, channel: Channel, verdict: NotAccepted, origin: str) -> Effect | None:
        probing = channel.is_probing
        return judge(channel.evidence, verdict, origin, channel.name, probing=probing)

    def _release(self, channel: Channel) -> None:
        """End a hold: the probe was accepted. A person's hold stays."""
        channel.note_probe_accepted()
        try:
            with transaction(self.context.engine) as session:
                limit_lock_waits(session, LOCK_WAIT_S)
                has_ended = holds.release(session, channel.name, by_probe=True)
        except DATABASE_AWAY as error:
            log.warning("release not written", provider=channel.name, error=type(error).__name__)
            return
        log.info("a probe was accepted", provider=channel.name, released=has_ended)

    def judge_rates(self, channels: Iterable[Channel]) -> None:
        """Slow each provider's project down as far as it asked since the last look."""
        for channel in channels:
            effect = judge_rate(channel.evidence)
            if effect is not None:
                apply((effect,), self._on(channel))
            channel.evidence.clear_rate()

    def lack_credential(self, channel: Channel, verdict: Verdict) -> None:
        """Wait or hold, when not even a credential could be had."""
        apply((judge_missing_credential(verdict),), self._on(channel))

    def _on(self, channel: Channel) -> ChannelOutcome:
        return ChannelOutcome(self.context, self.alert_id, self.clock, channel)

    def give_up_waiting(self, held: Iterable[tuple[Channel, LeasedBatch]], why: str) -> None:
        """Take what is in flight as unknown: it may have arrived, and nobody waits any longer."""
        self.exchanges.abandon()
        for channel, batch in held:
            for position in sorted(batch.in_flight):
                self.settle(channel, batch, position, TryLater(why, unknown=True))
            batch.mark_answered(tuple(batch.in_flight))


def _is_known_server(channel: Channel, request: Request | None) -> bool:
    """Whether we or an administrator named the server that answered."""
    if request is None or not isinstance(channel.provider, KnownServers):
        return True
    return channel.provider.is_known_server(request.url)
