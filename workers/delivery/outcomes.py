"""What an answer leads to besides the delivery's own next state: for lanes, devices, providers."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from service.domain.delivery import Effect, State
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Scope,
    SenderRejected,
    TryLater,
    Verdict,
)
from service.store.alerts import alert_totals
from service.store.operations import holds
from service.store.session import DATABASE_AWAY, transaction
from workers.delivery.channel import Lane
from workers.delivery.leased_batch import Lease
from workers.delivery.loading import quote
from workers.delivery.turn import Sent, Turn
from workers.provider import Answer, KnownServers, Position, Request

log = structlog.get_logger()

DOUBTS_THAT_HOLD = 20
REFUSALS_THAT_END = 100
PROJECT_PAUSE = timedelta(seconds=60)
ORIGIN_PAUSE = timedelta(seconds=30)


def read(turn: Turn, sent: Sent, answer: Answer, at_ms: int) -> None:
    """Settle the positions that a request carried."""
    lane, lease, generation, request = sent
    try:
        verdicts = lane.provider.read_answer(answer, request.positions)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other answers are read
        verdicts = _unread(turn, lane, request, error)
    lease.flying.difference_update(request.positions)
    lane.answers += len(request.positions)
    voice = lane.voice(request)
    for position, verdict in zip(request.positions, verdicts, strict=True):
        if type(verdict) is Accepted:
            lease.accept(position, at_ms)
            lane.accepted += 1
            lane.accepting.add(voice)
            if verdict.follow_up is not None:
                lease.follow_up(position, verdict.follow_up)
            if lane.probing:
                _release(turn, lane)
        else:
            old = generation != lane.generation
            follow(turn, lane, lease, position, verdict, request, answer, stale=old)


def _unread(turn: Turn, lane: Lane, request: Request, fault: Exception) -> Sequence[Verdict]:
    """Bury what a fault of ours cannot read the answer of: sent again, it would only fail again."""
    kind = type(fault).__name__
    log.error("answer not read", alert=turn.alert_id, provider=lane.name, error=kind)
    why = f"its answer could not be read ({kind})"
    return [DeviceRefused(why, unknown=True)] * len(request.positions)


def follow(
    turn: Turn,
    lane: Lane,
    lease: Lease,
    position: Position,
    verdict: Verdict,
    request: Request | None = None,
    answer: Answer | None = None,
    *,
    stale: bool = False,
) -> None:
    """Settle one position by a verdict, and do what else the verdict asks for.

    `stale` answers speak of a credential that was replaced meanwhile: they hold nobody.
    """
    if isinstance(verdict, Accepted):
        lease.accept(position, turn.clock.ms_since(turn.out.due_at))
        lane.accepted += 1
        lane.accepting.add(lane.voice(request))
        return
    said = quote(answer) if answer else ""
    effect = lease.settle(position, verdict, said, lane.voice(request))
    if isinstance(verdict, TryLater):
        _slow_down(turn, lane, verdict, request)
    elif isinstance(verdict, SenderRejected) and not stale and not lane.held:
        _sender_rejected(turn, lane, verdict)
    elif isinstance(verdict, AlertRejected):
        _end_provider(lane)
    elif isinstance(verdict, DeviceGone) and effect is Effect.DOUBT_DEVICE:
        if _is_vouched_for(lane, request):
            _doubt(turn, lane, verdict.why)
    elif isinstance(verdict, DeviceRefused) and verdict.doubtful:
        _doubt_alert(turn, lane, verdict.why)


def _slow_down(turn: Turn, lane: Lane, verdict: TryLater, request: Request | None) -> None:
    if verdict.reconnect:
        turn.exchanges.refresh(lane.name)
    if verdict.scope is Scope.PROVIDER:
        lane.throttled += 1
        lane.throttle_s = max(lane.throttle_s, (verdict.after or PROJECT_PAUSE).total_seconds())
    elif verdict.scope is Scope.ORIGIN and request is not None:
        lane.pause_origin(request.url, (verdict.after or ORIGIN_PAUSE).total_seconds())


def adjust_pace(turn: Turn) -> None:
    """Slow a provider's whole project down as far as it asked since the last look.

    Where most answers say "too many", everybody pauses. A few among many yeses are what a quota
    looks like from below: those few wait as they were told, and the rate goes down by their share.
    """
    for lane in turn.lanes.values():
        if lane.throttled * 2 > lane.answers:
            turn.process.rates.slow(lane.name, lane.throttle_s)
            lane.pause(lane.throttle_s)
        elif lane.throttled:
            turn.process.rates.ease(lane.name, lane.throttled / lane.answers)
        lane.answers = lane.throttled = 0
        lane.throttle_s = 0.0


def _sender_rejected(turn: Turn, lane: Lane, verdict: SenderRejected) -> None:
    if verdict.remint and turn.process.credentials.reject(lane.provider, turn.clock.now()):
        lane.pushes = None
        lane.generation += 1
        lane.stop_sending()
        return
    hold(turn, lane, verdict.why)


def hold(turn: Turn, lane: Lane, why: str) -> None:
    """Stop using the provider, for every alert, until a person or a probe clears it."""
    lane.hold()
    try:
        with transaction(turn.process.engine) as session:
            holds.hold(session, lane.name, why, holds.WORKER)
    except DATABASE_AWAY as error:
        # Answers in hand must still be read; the next turn will meet the same refusal.
        lane.unrecorded = True
        log.warning("hold not written", provider=lane.name, error=type(error).__name__)
    log.error("provider held", provider=lane.name, reason=why)


def _release(turn: Turn, lane: Lane) -> None:
    """End a hold: the probe was accepted. A person's hold stays."""
    lane.probing = False
    try:
        with transaction(turn.process.engine) as session:
            released = holds.release(session, lane.name, by_probe=True)
    except DATABASE_AWAY as error:
        log.warning("release not written", provider=lane.name, error=type(error).__name__)
        return
    log.info("a probe was accepted", provider=lane.name, released=released)


def no_credential(turn: Turn, lane: Lane, verdict: Verdict) -> None:
    """Wait or hold, when not even a credential could be had; nobody's attempt is burnt."""
    match verdict:
        case TryLater(after=after):
            lane.pause((after or timedelta(seconds=5)).total_seconds())
            lane.stop_sending()
        case SenderRejected(why=why):
            hold(turn, lane, why)
        case _:
            hold(turn, lane, "No credential could be had; run `newszop doctor`.")


def _end_provider(lane: Lane) -> None:
    """End the alert on this provider: what was tried is buried, the rest is cancelled."""
    lane.ended = lane.ending = True
    lane.stop_sending()
    for lease in lane.leases.values():
        lease.put_rest(State.CANCELLED)


def _is_vouched_for(lane: Lane, request: Request | None) -> bool:
    """Whether doubts of this server may hold the whole provider: a stranger's never do.

    Who runs many servers could make them agree, so counting them would not help. A stranger's
    devices are buried one by one, to be replayed if the mistake was ours after all.
    """
    if request is None or not isinstance(lane.provider, KnownServers):
        return True
    return lane.provider.is_known_server(request.url)


def _doubt(turn: Turn, lane: Lane, why: str) -> None:
    """Twenty doubtful addresses and not one acceptance look like a mistake of ours."""
    lane.doubts += 1
    if lane.doubts != DOUBTS_THAT_HOLD or lane.held or _has_accepted(turn, lane):
        return
    sentence = (
        f"{lane.name} answered {why} for {lane.doubts} devices and accepted none: check that its "
        "credentials, its topic or project and its environment (production or sandbox) are those "
        "of the app, then release it."
    )
    hold(turn, lane, sentence)
    for lease in lane.leases.values():
        lease.spare_doubtful(sentence)


def _doubt_alert(turn: Turn, lane: Lane, why: str) -> None:
    """End the alert here after a hundred refusals of no clear cause and not one acceptance."""
    lane.refusals += 1
    if lane.refusals != REFUSALS_THAT_END or lane.ended or _has_accepted(turn, lane):
        return
    log.error("alert rejected", alert=turn.alert_id, provider=lane.name, reason=why)
    _end_provider(lane)


def _has_accepted(turn: Turn, lane: Lane) -> bool:
    """Whether the provider took anything of this alert; said too while nobody can tell."""
    if lane.accepted:
        return True
    try:
        with transaction(turn.process.engine) as session:
            return alert_totals.has_acceptance(session, turn.alert_id, lane.name)
    except DATABASE_AWAY:
        return True


def give_up_waiting(turn: Turn, why: str) -> None:
    """Take what is in flight as unknown: it may have arrived, and nobody waits any longer."""
    turn.exchanges.abandon()
    for _, lease in turn.leases():
        for position in sorted(lease.flying):
            lease.settle(position, TryLater(why, unknown=True))
        lease.flying.clear()
