"""Where an alert that leaves at a local time has not left yet."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Alert
from service.domain.delivery import State
from service.domain.pace.local_release import Release
from service.store.sql_fragments import batch_is_open, count_of, waits_for_release

_RELEASES = text(f"""
    SELECT alert_id, claimable_at, sum({count_of(State.PENDING)})::int AS devices,
        (array_agg(zone ORDER BY {count_of(State.PENDING)} DESC, zone))[1] AS zone
    FROM batch WHERE alert_id = ANY(:ids) AND {batch_is_open()} AND {waits_for_release()}
    GROUP BY alert_id, claimable_at ORDER BY alert_id, claimable_at""")


def next_releases(session: Session, alerts: Sequence[Alert]) -> dict[int, list[Release]]:
    """Return by alert its releases to come, the next first; alerts that leave at once have none."""
    ids = [alert.id for alert in alerts if alert.local_release and not alert.state.final]
    if not ids:
        return {}
    releases: dict[int, list[Release]] = {}
    for row in session.execute(_RELEASES, {"ids": ids}):
        release = Release(row.claimable_at, row.zone, row.devices)
        releases.setdefault(row.alert_id, []).append(release)
    return releases
