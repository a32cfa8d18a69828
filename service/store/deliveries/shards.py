"""Shards: ranges of the reader-id space, and how one is fanned out.

A shard of a correction or a withdrawal is a range of the shard numbers of its source alert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.pace.local_release import LocalRelease
from service.domain.pace.spread import Spread, usable_duration
from service.domain.subscription import Urgency
from service.store.alerts import alert_transitions
from service.store.deliveries.packing import pack_shard
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.deliveries.result_sharing import CHOICES_EXIST
from service.store.deliveries.shard_devices import Distinctions
from service.store.readers.audience import FrozenAudience
from service.store.readers.missed_alerts import DIGESTS_EXIST
from service.store.replica import NO_REPLICA, Replica
from service.store.schema import ID_LIMIT
from service.store.sql_fragments import REVISION_OF_APPS
from service.tracing.spans import span

FIRST_SHARD_DEVICES = 500
MOST_SHARDS = 100_000


def cut_id_space(devices: int, per_shard: int) -> list[tuple[int, int]]:
    """Cut the id space into ranges [lo, hi) of about `per_shard` devices each.

    The first is small, so that the first push leaves while the rest is still being planned.
    """
    if devices <= FIRST_SHARD_DEVICES:
        return [(0, ID_LIMIT)]
    first = ID_LIMIT * FIRST_SHARD_DEVICES // devices
    rest = min(-(-(devices - FIRST_SHARD_DEVICES) // per_shard), MOST_SHARDS)
    edges = [0, *(first + (ID_LIMIT - first) * n // rest for n in range(rest)), ID_LIMIT]
    return list(pairwise(edges))


def cut_evenly(count: int) -> list[tuple[int, int]]:
    """Cut the id space into so many equal ranges [lo, hi), at most `MOST_SHARDS`."""
    number = min(count, MOST_SHARDS)
    return list(pairwise(ID_LIMIT * n // number for n in range(number + 1)))


def add(session: Session, alert_id: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Write an alert's shards, all of them."""
    session.execute(
        text(
            "INSERT INTO shard (alert_id, n, lo, hi, done) SELECT :alert_id, o - 1, lo, hi, false "
            "FROM unnest(CAST(:lo AS bigint[]), CAST(:hi AS bigint[])) WITH ORDINALITY t(lo, hi, o)"
        ),
        {"alert_id": alert_id, "lo": [lo for lo, _ in ranges], "hi": [hi for _, hi in ranges]},
    )


def open_shards(session: Session, alert_id: int, limit: int, first: int = 0) -> list[int]:
    """Return the numbers of shards from `first` on that are not fanned out yet, lowest first."""
    rows = session.execute(
        text(
            "SELECT n FROM shard WHERE alert_id = :a AND n >= :first AND NOT done "
            "ORDER BY n LIMIT :limit"
        ),
        {"a": alert_id, "first": first, "limit": limit},
    )
    return list(rows.scalars())


def count(session: Session, alert_id: int) -> int:
    """Return how many shards an alert has."""
    number = session.execute(
        text("SELECT count(*) FROM shard WHERE alert_id = :a AND n >= 0"), {"a": alert_id}
    ).scalar_one()
    return int(number)


def ranges_of_source(session: Session, source_alert_id: int) -> list[tuple[int, int]]:
    """Return one range for each shard of an earlier alert."""
    return [(n, n + 1) for n in range(count(session, source_alert_id))]


_PLANNED_ALERT = f"""
SELECT a.kind, a.state, a.source_alert_id, a.takes_over, a.topic_ids, a.above, a.story_id,
    a.urgency, a.everyone, a.reader_id, a.started_at, a.apps, a.one_device, a.languages,
    a.frequency_cap, a.dry_run, a.spread_s, a.local_release, a.ttl_s,
    a.start_place, a.expires_at,
    CASE WHEN a.source_alert_id IS NULL THEN a.headline_test END AS headline_test,
    root.started_at AS begins_at, root.expires_at - root.started_at AS life,
    CASE WHEN a.spread_s > 0 THEN (SELECT count(*) FROM shard WHERE alert_id = a.id AND n >= 0) END
        AS shards,
    {REVISION_OF_APPS} AS apps_revision, {CHOICES_EXIST} AS choices_exist,
    {DIGESTS_EXIST} AS digests_exist
FROM alert a LEFT JOIN alert root
    ON a.spread_s > 0 AND root.id = coalesce(a.source_alert_id, a.id)
WHERE a.id = :a AND a.started_at IS NOT NULL
"""
"""A correction has the release times of its root: whom that has not reached waits as before."""


def planned_alert(session: Session, alert_id: int) -> PlannedAlert | None:
    """Return what fan-out needs of an alert that was planned; None otherwise."""
    row = session.execute(text(_PLANNED_ALERT), {"a": alert_id}).one_or_none()
    if row is None:
        return None
    started_at: datetime = row.started_at
    return PlannedAlert(
        alert_id=alert_id,
        kind=Kind(row.kind),
        state=AlertState(row.state),
        source_alert_id=row.source_alert_id,
        takes_over=row.takes_over,
        apps=None if row.apps is None else frozenset(row.apps),
        apps_revision=row.apps_revision,
        choices_exist=row.choices_exist,
        digests_exist=row.digests_exist,
        ttl=timedelta(seconds=row.ttl_s),
        expires_at=row.expires_at,
        headline_test=HeadlineTest.of_json(row.headline_test),
        dry_run=row.dry_run,
        spread=_spread(row),
        start_place=row.start_place,
        audience=FrozenAudience(
            topic_ids=row.topic_ids or [],
            above=row.above or [],
            story_id=row.story_id,
            urgency=Urgency.of_rank(row.urgency),
            everyone=row.everyone,
            at=started_at,
            reader_id=row.reader_id,
            one_device=row.one_device,
            languages=None if row.languages is None else tuple(row.languages),
            frequency_cap=row.frequency_cap,
            local_release=LocalRelease.of_json(row.local_release),
        ),
    )


def _spread(row: Row[Any]) -> Spread | None:
    if not row.shards or row.begins_at is None:
        return None
    duration = usable_duration(timedelta(seconds=row.spread_s), row.life)
    return Spread(row.begins_at, duration, row.shards)


_TAKE_SHARD = """
WITH free AS MATERIALIZED (
    SELECT alert_id, n FROM shard
    WHERE alert_id = :a AND NOT done AND (CAST(:n AS int) IS NULL OR n = :n)
    ORDER BY n LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE shard SET done = true FROM free
WHERE shard.alert_id = free.alert_id AND shard.n = free.n RETURNING shard.n, lo, hi
"""
"""As a subquery of an `IN` it would run again for each row that a nested loop looks at, and take
another shard each time."""


def fan_out(
    session: Session,
    alert: PlannedAlert,
    providers: Sequence[str],
    n: int | None = None,
    *,
    known_servers: Mapping[str, str] | None = None,
    without_receipts: Sequence[str] = (),
    results_by_default: bool = True,
    replica: Replica = NO_REPLICA,
) -> bool:
    """Pack one shard into batches: shard `n`, or the lowest open one that no process is packing.

    The shard's state and its batches commit together. False: there was none to pack. The shards
    of a stopped alert are packed too, as cancelled: its whole audience is accounted for. Devices
    of the providers in `known_servers` whose address does not match the expression there are at
    strangers' servers, and are packed apart. So are devices of readers who do not let us
    count what they open (`results_by_default` holds for those who have not said) and those of the
    providers `without_receipts`. A `replica` may read the devices.
    """
    row = session.execute(text(_TAKE_SHARD), {"a": alert.alert_id, "n": n}).one_or_none()
    if row is None:
        return False
    release_at = None if alert.spread is None else alert.spread.release_of(row.n)
    with span("pack_shard", {"newszop.alert": str(alert.alert_id), "newszop.shard": row.n}):
        pack_shard(
            session,
            _released(alert, release_at),
            (row.n, row.lo, row.hi),
            providers,
            release_at=release_at,
            distinctions=Distinctions(
                known_servers or {}, without_receipts, results_by_default=results_by_default
            ),
            replica=replica,
        )
    if alert.state is AlertState.PLANNING:
        alert_transitions.begin_sending(session, alert.alert_id)
    return True


def _released(alert: PlannedAlert, release_at: datetime | None) -> PlannedAlert:
    """Judge quiet hours and mutes by when a shard is released, where that is not at once."""
    if release_at is None:
        return alert
    return replace(alert, audience=replace(alert.audience, at=release_at))
