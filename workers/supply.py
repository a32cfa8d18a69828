"""What a stream sends next: batches claimed, loaded and built ahead of need, then requests."""

import time
from datetime import timedelta

import structlog

from service.domain.verdict import TryLater
from service.store import batches, shards
from service.store.session import DATABASE_AWAY, transaction
from workers import consequences, targets
from workers.lane import Lane
from workers.lease import Lease
from workers.provider import CredentialRefused, Pushes, Request
from workers.turn import Turn

log = structlog.get_logger()

STALE_S = 1.0
LOOK_AGAIN_S = 0.25
LOOK_AGAIN_PLANNING_S = 0.02
LEASES_PER_LANE = 4


def top_up(turn: Turn) -> None:
    """Claim a batch for every lane whose window could run dry; pack a shard when there is none."""
    try:
        if not _claim_for_hungry(turn) and turn.packing is not None:
            _pack_next(turn)
    except DATABASE_AWAY as error:
        # What is in flight must still be heard and written: the next flush decides.
        log.warning("nothing claimed", alert=turn.alert_id, error=type(error).__name__)
        for lane in turn.lanes.values():
            lane.look_again_at = time.monotonic() + LOOK_AGAIN_S


def _claim_for_hungry(turn: Turn) -> bool:
    """Claim for the lanes that want; False when one of them found nothing."""
    now = time.monotonic()
    fed = True
    for lane in turn.lanes.values():
        wanted = lane.hungry and len(lane.leases) < LEASES_PER_LANE and now >= lane.look_again_at
        if wanted and not _claim(turn, lane):
            fed = False
    return fed


def _claim(turn: Turn, lane: Lane) -> bool:
    """Claim, load and queue one batch; False when the lane has none to claim."""
    process = turn.process
    with transaction(process.engine) as session:
        claimed = batches.claim(session, turn.alert_id, lane.name, lease_s=process.settings.lease_s)
        if not claimed:
            wait = LOOK_AGAIN_S if turn.packing is None else LOOK_AGAIN_PLANNING_S
            lane.look_again_at = time.monotonic() + wait
            return False
        lease = Lease(claimed[0], turn.out.expires_at, turn.clock.now)
        loaded = targets.load(session, lease, turn.alert_id, process.secret)
    lane.look_again_at = 0.0
    lane.leases[lease.key] = lease
    pushes = _pushes(turn, lane)
    if pushes is not None:
        lane.add(lease, pushes.requests(loaded, turn.clock.now()), len(loaded))
    return True


def _pushes(turn: Turn, lane: Lane) -> Pushes | None:
    """Return the alert in the provider's form; None when no credential is to be had."""
    try:
        credential = turn.process.credentials.get(lane.provider, turn.clock.now())
    except CredentialRefused as refused:
        consequences.no_credential(turn, lane, refused.verdict)
        return None
    if lane.pushes is None or lane.credential != credential:
        lane.credential = credential
        lane.pushes = lane.provider.pushes(turn.out.message, credential)
        lane.generation += 1
    return lane.pushes


def _pack_next(turn: Turn) -> None:
    """Fan the next shard out ourselves: no other process has come to it yet, and we run dry."""
    if turn.packing is None:
        return
    with transaction(turn.process.engine) as session:
        packed = shards.fan_out(session, turn.packing, turn.process.names)
        if not packed and not shards.open_ones(session, turn.alert_id, 1):
            turn.packing = None
    if packed:
        for lane in turn.lanes.values():
            lane.look_again_at = 0.0


def feed(turn: Turn) -> None:
    """Fill every lane's window.

    Nothing new leaves when the last write is more than a second old: a database that takes no
    writes bounds what could be sent twice to what is in flight already.
    """
    if time.monotonic() - turn.written_at > STALE_S:
        return
    for lane in turn.lanes.values():
        if lane.open and lane.queue:
            _feed_lane(turn, lane)


def _feed_lane(turn: Turn, lane: Lane) -> None:
    room = min(turn.process.gateway.room(lane.name), lane.allowance())
    if room > 0 and lane.budget <= 0:
        lane.budget += turn.process.rates.take(lane.name, room, time.monotonic())
    while room > 0 and lane.budget > 0:
        found = lane.next()
        if found is None:
            return
        lease, item = found
        if isinstance(item, tuple):
            consequences.follow(turn, lane, lease, item[0], item[1])
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
            consequences.follow(turn, lane, lease, position, later)
        return
    request.tag = (lane, lease, lane.generation)
    lease.flying.update(request.positions)
    turn.process.gateway.submit(lane.name, request)
