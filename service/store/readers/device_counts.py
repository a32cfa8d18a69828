"""How many live devices each app has: counted while there are few, estimated from then on."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from service.store.readers.audience_counts import EXACT_UP_TO, SAMPLE
from service.store.schema import ID_LIMIT

_COUNT = text("""
    WITH live AS (
        SELECT provider AS app, count(*) AS devices FROM device
        WHERE reader_id < :hi AND gone_at IS NULL GROUP BY provider
    ), stale AS (
        SELECT provider AS app, count(*) AS devices FROM device
        WHERE reader_id < :hi AND gone_at IS NULL AND stale GROUP BY provider
    )
    SELECT app, live.devices - coalesce(stale.devices, 0) AS devices,
        coalesce(stale.devices, 0) AS stale
    FROM live LEFT JOIN stale USING (app)""")
"""Both parts are answered from an index alone."""


@dataclass(frozen=True, slots=True)
class DeviceCount:
    """The live devices of an app: those that were seen lately, and the stale ones."""

    devices: int = 0
    stale: int = 0


def count_by_app(session: Session) -> dict[str, DeviceCount]:
    """Return the numbers of live devices by app; beyond 200,000 from one reader in 64."""
    sample = _count(session, ID_LIMIT // SAMPLE)
    if sum(each.devices + each.stale for each in sample.values()) * SAMPLE > EXACT_UP_TO:
        return {
            app: DeviceCount(each.devices * SAMPLE, each.stale * SAMPLE)
            for app, each in sample.items()
        }
    return _count(session, ID_LIMIT)


def _count(session: Session, hi: int) -> dict[str, DeviceCount]:
    rows = session.execute(_COUNT, {"hi": hi})
    return {str(row.app): DeviceCount(int(row.devices), int(row.stale)) for row in rows}
