"""The canary: a dry run that goes the whole way every few minutes; its absence alarms.

It speaks of the newest story and is for whoever follows that very story, so that it costs nothing.
"""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import collapse_key
from service.domain.topic import story_topic
from service.store.alerts.alerts import CANARY
from service.store.schema import new_id

TTL_S = 120
KEPT_HOURS = 24

_DUE = """
SELECT s.id, s.headline FROM story s WHERE s.state IN ('published', 'corrected')
AND NOT EXISTS (SELECT 1 FROM alert a WHERE a.created_by = :canary AND a.dry_run
    AND a.created_at > now() - make_interval(secs => :every))
ORDER BY s.published_at DESC, s.id DESC LIMIT 1
"""
_ADD = """
INSERT INTO alert (id, story_id, kind, state, void, title, body, locales, urgency, topics,
    everyone, collapse_key, dry_run, takes_over, settled, rejected_by, created_by, ttl_s,
    expires_at)
VALUES (:id, :story_id, 'first', 'planning', false, :title, '', '{}', 0, :topics,
    false, :collapse_key, true, false, false, '{}', :canary, :ttl,
    now() + make_interval(secs => :ttl))
"""


def send_if_due(session: Session, minutes: int) -> int | None:
    """Write a canary when the last is half as old as would alarm; return its id.

    Yesterday's canaries are removed. Without a published story there is nothing to sing about.
    """
    session.execute(
        text(
            "DELETE FROM alert WHERE created_by = :canary AND dry_run "
            "AND created_at < now() - make_interval(hours => :hours)"
        ),
        {"canary": CANARY, "hours": KEPT_HOURS},
    )
    story = session.execute(text(_DUE), {"canary": CANARY, "every": minutes * 30}).one_or_none()
    if story is None:
        return None
    alert_id = new_id()
    session.execute(
        text(_ADD),
        {
            "id": alert_id,
            "story_id": story.id,
            "title": story.headline,
            "topics": [story_topic(story.id)],
            "collapse_key": collapse_key(story.id),
            "canary": CANARY,
            "ttl": TTL_S,
        },
    )
    return alert_id
