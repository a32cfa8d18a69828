"""Batches of a spread alert whose release was missed, as in a pause or while no worker ran.

If all of them left at once, the site would get what the editor wanted to spare it. So what has not
left moves as a whole, and begins again now.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.pace.spread import stretch_of_rest
from service.store.sql_fragments import batch_is_open

LATE_S = 10.0
"""A release may be so late before what has not left moves."""

_WAITS = f"alert_id = :a AND {batch_is_open()} AND started_at IS NULL AND lease_token IS NULL"
_LATE = text(f"""
SELECT provider, strangers, min(claimable_at) AS first,
    extract(epoch FROM max(claimable_at) - min(claimable_at))::float8 AS rest_s,
    extract(epoch FROM (SELECT expires_at FROM alert WHERE id = :a) - now())::float8 AS life_s
FROM batch WHERE {_WAITS}
GROUP BY provider, strangers HAVING min(claimable_at) < now() - make_interval(secs => :late_s)
""")
_LOCK = text("SELECT 1 FROM alert WHERE id = :a FOR NO KEY UPDATE")
_MOVE = text(f"""
UPDATE batch SET claimable_at = now() + (claimable_at - :first) * CAST(:stretch AS float8)
WHERE {_WAITS} AND provider = :provider AND strangers = :strangers
""")


def move_late_releases(session: Session, alert_id: int) -> None:
    """Let what has not left of a spread alert begin now, if it is late; its pace stays.

    It leaves faster only where the alert would end before its last release.
    """
    if not _late(session, alert_id):
        return
    session.execute(_LOCK, {"a": alert_id})
    for row in _late(session, alert_id):  # another process may just have moved them
        values = {"a": alert_id, "provider": row.provider, "strangers": row.strangers}
        stretch = stretch_of_rest(row.rest_s, row.life_s)
        session.execute(_MOVE, values | {"first": row.first, "stretch": stretch})


def _late(session: Session, alert_id: int) -> Sequence[Row[Any]]:
    return session.execute(_LATE, {"a": alert_id, "late_s": LATE_S}).all()
