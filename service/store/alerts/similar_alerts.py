"""What the history asks beside its list: who sent alerts, what they say, which are alike."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel import Session

from service.domain.new_alerts import CANARY

MOST_EDITORS = 200
SIMILAR_ALERTS = 50
SIMILAR_DAYS = 90

_EDITORS = text("""
    SELECT DISTINCT created_by FROM (SELECT created_by FROM alert
        WHERE created_by <> :canary AND kind NOT IN ('test', 'digest')
        ORDER BY created_at DESC LIMIT 5000) AS a
    ORDER BY 1 LIMIT :most""")
_SIMILAR = text("""
    WITH subject AS (
        SELECT a.id, coalesce(a.topics, s.topics) AS topics,
            extract(hour FROM coalesce(a.send_at, a.created_at)) AS hour
        FROM alert a JOIN story s ON s.id = a.story_id WHERE a.id = :a)
    SELECT a.id FROM subject, alert a JOIN story s ON s.id = a.story_id
    JOIN alert_result r ON r.alert_id = a.id
    WHERE a.id <> subject.id AND a.kind = 'first' AND NOT a.dry_run
        AND a.created_at > now() - make_interval(days => :days)
        AND coalesce(a.topics, s.topics) && subject.topics
        AND (extract(hour FROM coalesce(a.send_at, a.created_at))
            - subject.hour + 25)::int % 24 <= 2
    ORDER BY a.created_at DESC LIMIT :most""")
_TITLES = text("""
    SELECT a.id, coalesce(a.title, s.headline) AS title
    FROM alert a JOIN story s ON s.id = a.story_id WHERE a.id = ANY(:ids)""")


def list_editors(session: Session) -> list[str]:
    """Return who has sent the newest 5,000 alerts, by name."""
    values = {"canary": CANARY, "most": MOST_EDITORS}
    return list(session.execute(_EDITORS, values).scalars())


def alert_titles(session: Session, alert_ids: Iterable[int]) -> dict[int, str]:
    """Return what the alerts say first."""
    rows = session.execute(_TITLES, {"ids": list(alert_ids)})
    return {row.id: row.title for row in rows}


def similar_alerts(session: Session, alert_id: int) -> list[int]:
    """Return earlier alerts with a topic of this one, sent in its hour of the day or one beside.

    The newest 50 of the last 90 days whose results are kept.
    """
    values = {"a": alert_id, "days": SIMILAR_DAYS, "most": SIMILAR_ALERTS}
    return list(session.execute(_SIMILAR, values).scalars())
