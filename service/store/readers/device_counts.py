"""How many live devices each app has: counted while there are few, estimated from then on."""

from sqlalchemy import text
from sqlmodel import Session

from service.store.readers.audience import EXACT_UP_TO, SAMPLE
from service.store.schema import ID_LIMIT

_COUNT = text("""
    SELECT provider AS app, count(*) AS devices FROM device
    WHERE reader_id < :hi AND gone_at IS NULL GROUP BY provider""")


def count_by_app(session: Session) -> dict[str, int]:
    """Return the number of live devices by app; beyond 200,000 from one reader in 64."""
    sample = _count(session, ID_LIMIT // SAMPLE)
    if sum(sample.values()) * SAMPLE > EXACT_UP_TO:
        return {app: devices * SAMPLE for app, devices in sample.items()}
    return _count(session, ID_LIMIT)


def _count(session: Session, hi: int) -> dict[str, int]:
    return {str(app): int(devices) for app, devices in session.execute(_COUNT, {"hi": hi})}
