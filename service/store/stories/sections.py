"""The topics at the top of the tree, by their weight."""

from sqlalchemy import text
from sqlmodel import Session

from service.domain.topic import Topic

NEWEST_WEIGHED = 300
"""So many of the newest stories decide the order of the sections."""

_SECTIONS = text("""
    WITH newest AS (
        SELECT id, topics FROM story WHERE state IN ('published', 'corrected')
        ORDER BY published_at DESC, id DESC LIMIT :newest
    ), weight AS (
        SELECT split_part(path, '/', 1) AS path, count(DISTINCT id) AS n
        FROM newest CROSS JOIN LATERAL unnest(topics) AS path GROUP BY 1)
    SELECT topic.id, topic.path, topic.label FROM topic LEFT JOIN weight ON weight.path = topic.path
    WHERE position('/' in topic.path) = 0
    ORDER BY coalesce(weight.n, 0) DESC, topic.label, topic.path LIMIT :limit""")


def list_sections(session: Session, limit: int) -> list[Topic]:
    """Return the topics at the top of the tree, first those with the most of the newest stories."""
    rows = session.execute(_SECTIONS, {"newest": NEWEST_WEIGHED, "limit": limit})
    return [Topic(id=row.id, path=row.path, label=row.label) for row in rows]
