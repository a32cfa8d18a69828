"""What a stream sends next: batches claimed, loaded and built ahead of need, then requests."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from traceback import walk_tb

import structlog

from service.domain.verdict import DeviceRefused, TryLater, Verdict
from service.store.deliveries import batch_claims, shards
from service.store.session import DATABASE_AWAY, transaction
from workers.delivery import loading as targets
from workers.delivery import outcomes
from workers.delivery.channel import Item, Lane
from workers.delivery.leased_batch import Lease
from workers.delivery.turn import Turn
from workers.provider import Credential, CredentialRefused, Position, Pushes, Request, Target

log = structlog.get_logger()

STALE_S = 1.0
LOOK_AGAIN_S = 0.25
LOOK_AGAIN_PLANNING_S = 0.02
LEASES_PER_LANE = 4


def top_up(turn: Turn) -> bool:
    """Claim a batch for a lane whose window could run dry; pack a shard when there is none.

    One at a time, so that what is ready leaves before more is made ready. True: there may be more.
    """
    try:
        if any(_claim(turn, lane) for lane in _hungry(turn)):
            return True
        return turn.starved and _pack_next(turn)
    except DATABASE_AWAY as error:
        # What is in flight must still be heard and written: the next flush decides.
        log.warning("nothing claimed", alert=turn.alert_id, error=type(error).__name__)
        for lane in turn.lanes.values():
            lane.look_again_at = time.monotonic() + LOOK_AGAIN_S
        return False


def _hungry(turn: Turn) -> list[Lane]:
    """Return the lanes that want a batch, the one with the least to send first."""
    now = time.monotonic()
    hungry = [
        lane
        for lane in turn.lanes.values()
        if lane.hungry and len(lane.leases) < LEASES_PER_LANE and now >= lane.look_again_at
    ]
    return sorted(hungry, key=lambda lane: lane.unsent)


def _claim(turn: Turn, lane: Lane) -> bool:
    """Claim, load and queue one batch; False when the lane has none to claim."""
    process = turn.process
    with transaction(process.engine) as session:
        claimed = batch_claims.claim(
            session,
            turn.alert_id,
            lane.name,
            lease_s=process.settings.lease_s,
            deadline=turn.out.expires_at,
        )
        if not claimed:
            wait = LOOK_AGAIN_S if turn.packing is None else LOOK_AGAIN_PLANNING_S
            lane.look_again_at = time.monotonic() + wait
            turn.starved = True
            return False
        lease = Lease(claimed[0], turn.out.expires_at, turn.clock.now)
        loaded = targets.load(session, lease, turn.alert_id, process.secret)
    lane.look_again_at = 0.0
    lane.leases[lease.key] = lease
    pushes = _pushes(turn, lane)
    if pushes is not None:
        lane.add(lease, _build(turn, lane, lease, pushes, loaded), len(loaded))
    return True


def _build(
    turn: Turn, lane: Lane, lease: Lease, pushes: Pushes, wanted: Sequence[Target]
) -> Iterator[Item]:
    """Build a batch's pushes; where that raises, go on by halves until the culprits are alone.

    It may be a malformed row or a fault of the provider: nobody else of the batch waits for it.
    """
    groups, culprits = [wanted], list[Item]()
    while groups:
        group = groups.pop()
        try:
            yield from pushes.requests(group, turn.clock.now())
        except Exception as error:  # noqa: BLE001 - whatever it was, the others are sent
            left = lease.unsent(group)
            middle = len(left) // 2
            if middle:
                groups += [left[middle:], left[:middle]]
            else:
                culprits += Unbuildable(error).requests(left, turn.clock.now())
            if group is wanted:
                _tell(turn, lane, error)
    yield from culprits


class Unbuildable:
    """Says of devices that a fault of ours keeps their push from being built.

    They are buried, and replayed when it is mended. Of the fault only the kind is told: its own
    words could hold an address.
    """

    def __init__(self, fault: Exception) -> None:
        self._refusal = DeviceRefused(f"its push could not be built ({type(fault).__name__})")

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[tuple[Position, Verdict]]:
        """Yield the refusal for each target."""
        del now
        for target in targets:
            yield target.position, self._refusal


def _pushes(turn: Turn, lane: Lane) -> Pushes | None:
    """Return the alert in the provider's form; None when no credential is to be had."""
    try:
        credential = turn.process.credentials.get(lane.provider, turn.clock.now())
    except CredentialRefused as refused:
        outcomes.no_credential(turn, lane, refused.verdict)
        return None
    if lane.pushes is None or lane.credential != credential:
        lane.credential = credential
        lane.pushes = _prepare(turn, lane, credential)
        lane.generation += 1
    return lane.pushes


def _prepare(turn: Turn, lane: Lane, credential: Credential) -> Pushes:
    try:
        return lane.provider.pushes(turn.out.content, credential)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other providers go on
        _tell(turn, lane, error)
        return Unbuildable(error)


def _tell(turn: Turn, lane: Lane, fault: Exception) -> None:
    """Log where a fault of ours is, once a batch, without its words."""
    *_, (frame, line) = walk_tb(fault.__traceback__)
    where = f"{frame.f_globals.get('__name__')}:{line}"
    log.error(
        "push not built",
        alert=turn.alert_id,
        provider=lane.name,
        error=type(fault).__name__,
        where=where,
    )


def _pack_next(turn: Turn) -> bool:
    """Fan the next shard out ourselves: no other process has come to it yet, and we run dry."""
    turn.starved = False
    if turn.packing is None:
        return False
    with transaction(turn.process.engine) as session:
        packed = shards.fan_out(session, turn.packing, turn.process.names)
        if not packed and not shards.open_shards(session, turn.alert_id, 1):
            turn.packing = None
    if packed:
        for lane in turn.lanes.values():
            lane.look_again_at = 0.0
    return packed


def feed(turn: Turn) -> None:
    """Fill every lane's window.

    Nothing new leaves when the last write is more than a second old: a database that takes no
    writes bounds what could be sent twice to what is in flight already.
    """
    for lane in turn.lanes.values():
        if lane.open and lane.queue:
            _feed_lane(turn, lane)


def _stale(turn: Turn) -> bool:
    """Whether the last write is too old; asked before every push, for we may have slept since."""
    return time.monotonic() - turn.written_at > STALE_S


def _feed_lane(turn: Turn, lane: Lane) -> None:
    room = min(turn.exchanges.room(lane.name), lane.allowance())
    if room > 0 and lane.budget <= 0:
        lane.budget += turn.process.rates.take(lane.name, room, time.monotonic())
    while room > 0 and lane.budget > 0 and not _stale(turn):
        found = lane.next()
        if found is None:
            return
        lease, item = found
        if isinstance(item, tuple):
            outcomes.follow(turn, lane, lease, item[0], item[1])
            continue
        lane.budget -= len(item.positions)
        room -= 1
        _send(turn, lane, lease, item)


def _send(turn: Turn, lane: Lane, lease: Lease, request: Request) -> None:
    if turn.out.dry_run:
        at = turn.clock.ms_since(turn.out.due_at)
        for position in request.positions:
            lease.accept(position, at)
        lane.accepted += len(request.positions)
        return
    wait = lane.origin_wait(request.url)
    if wait > 0:
        later = TryLater(
            "the push service asked for a pause", timedelta(seconds=wait), blameless=True
        )
        for position in request.positions:
            outcomes.follow(turn, lane, lease, position, later)
        return
    lease.flying.update(request.positions)
    turn.exchanges.submit(lane.name, request, (lane, lease, lane.generation, request))
