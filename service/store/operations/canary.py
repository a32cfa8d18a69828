"""The canary: a dry run that goes the whole way every few minutes; its absence alarms.

It speaks of the newest story and is for the followers of that very story, so that it costs little.
"""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.new_alerts import CANARY, new_canary
from service.store.alerts import alerts
from service.store.schema import new_id

KEPT_HOURS = 24

_DUE = """
SELECT s.id, s.headline, now() AS now FROM story s WHERE s.state IN ('published', 'corrected')
AND NOT EXISTS (SELECT 1 FROM alert a WHERE a.created_by = :canary AND a.dry_run
    AND a.created_at > now() - make_interval(secs => :every))
ORDER BY s.published_at DESC, s.id DESC LIMIT 1
"""
_FORGET = """
DELETE FROM alert WHERE created_by = :canary AND dry_run
AND created_at < now() - make_interval(hours => :hours)
"""


def send_if_due(session: Session, minutes: int) -> int | None:
    """Write a canary when the last is half as old as would alarm; return its id.

    Canaries older than a day are removed. Without a published story there is none to send.
    """
    session.execute(text(_FORGET), {"canary": CANARY, "hours": KEPT_HOURS})
    story = session.execute(text(_DUE), {"canary": CANARY, "every": minutes * 30}).one_or_none()
    if story is None:
        return None
    alert = new_canary(new_id(), story.id, story.headline, story.now)
    alerts.add(session, alert)
    return alert.id
