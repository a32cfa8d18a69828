"""Moving a topic with all below it; where one stands already, the two become one."""

from sqlalchemy import text
from sqlmodel import Session

from service.domain import topic as paths
from service.domain.errors import Conflict, Invalid, no_such
from service.store.sql_fragments import alert_runs
from service.store.stories import topics

MOST_MOVED = 500
"""Topics of one move; beyond it a person moves branch by branch."""

_SUBTREE = text("""
    SELECT id, path FROM topic
    WHERE path = :path OR (path COLLATE "C" >= :path || '/' AND path COLLATE "C" < :path || '0')
    ORDER BY path COLLATE "C" FOR UPDATE LIMIT :most""")
_RUNNING = text(f"""
    SELECT 1 FROM alert WHERE {alert_runs()} AND topic_ids && :ids LIMIT 1""")
_ID_OF = text("SELECT id FROM topic WHERE path = :path")
_RENAME = text("UPDATE topic SET path = :path WHERE id = :id")
_JOIN_FOLLOWERS = text("""
    UPDATE subscription SET topic_id = :kept WHERE topic_id = :id AND NOT EXISTS (
        SELECT 1 FROM subscription other
        WHERE other.reader_id = subscription.reader_id AND other.topic_id = :kept)""")
_JOIN_CODES = text("UPDATE topic_code SET topic_id = :kept WHERE topic_id = :id")
_DROP = text("DELETE FROM topic WHERE id = :id")
_STORIES = text("""
    UPDATE story SET topics = ARRAY(
        SELECT path FROM unnest(array_replace(topics, :old, :new)) WITH ORDINALITY AS t(path, n)
        GROUP BY path ORDER BY min(n))
    WHERE topics @> ARRAY[CAST(:old AS text)]""")
_ALERTS = text("""
    UPDATE alert SET topics = ARRAY(
        SELECT DISTINCT path FROM unnest(array_replace(topics, :old, :new)) AS t(path))
    WHERE state = 'scheduled' AND topics @> ARRAY[CAST(:old AS text)]""")


def move(session: Session, source: str, target: str) -> int:
    """Move `source` and all below it to `target`; returns how many topics moved.

    Stories and scheduled alerts follow; a reader who follows both keeps the one that stays. While
    an alert of these topics runs it is refused: its audience is frozen by their ids.
    """
    source, target = paths.parse_path(source, "from"), paths.parse_path(target, "to")
    if target == source or paths.is_above(source, target):
        raise Invalid("to", "A topic cannot be moved to itself or below itself.")
    rows = session.execute(_SUBTREE, {"path": source, "most": MOST_MOVED + 1}).all()
    subtree = [(int(row.id), str(row.path)) for row in rows]
    if not subtree or subtree[0][1] != source:
        raise no_such("topic")
    if len(subtree) > MOST_MOVED:
        raise Conflict(f"More than {MOST_MOVED} topics stand there: move a branch at a time.")
    if session.execute(_RUNNING, {"ids": [topic_id for topic_id, _ in subtree]}).first():
        raise Conflict("An alert to these topics is running: wait until it has finished.")
    above = paths.parent_of(target)
    if above is not None:
        topics.ensure(session, [above])
    for topic_id, path in subtree:
        _move_one(session, topic_id, path, target + path[len(source) :])
    return len(subtree)


def _move_one(session: Session, topic_id: int, old: str, new: str) -> None:
    target_id = session.execute(_ID_OF, {"path": new}).scalar_one_or_none()
    if target_id is None:
        session.execute(_RENAME, {"path": new, "id": topic_id})
    else:
        session.execute(_JOIN_FOLLOWERS, {"kept": target_id, "id": topic_id})
        session.execute(_JOIN_CODES, {"kept": target_id, "id": topic_id})
        session.execute(_DROP, {"id": topic_id})
    session.execute(_STORIES, {"old": old, "new": new})
    session.execute(_ALERTS, {"old": old, "new": new})
