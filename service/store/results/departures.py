"""How many readers unfollowed or muted a topic, and when: counts, never who."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.results.alert_result import Departures

EXACT_DAYS = 2
"""So long the five minutes of a departure are known; then its day (UTC) only."""
KEEP_DAYS = 400

_FOLD = text("""
    WITH old AS (
        DELETE FROM departure WHERE since < date_trunc('day', now()) - make_interval(days => :exact)
            AND since > now() - make_interval(days => :keep)
            AND (topic_id, date_trunc('day', since)) IN (
                SELECT topic_id, date_trunc('day', since) FROM departure
                WHERE since < date_trunc('day', now()) - make_interval(days => :exact)
                GROUP BY 1, 2 HAVING count(*) > 1)
        RETURNING topic_id, date_trunc('day', since) AS since, unfollows, mutes)
    INSERT INTO departure (topic_id, since, unfollows, mutes)
    SELECT topic_id, since, sum(unfollows), sum(mutes) FROM old GROUP BY topic_id, since""")
_FORGET = text("DELETE FROM departure WHERE since <= now() - make_interval(days => :keep)")
_COUNT = text("""
    SELECT coalesce(sum(unfollows), 0) AS unfollows, coalesce(sum(mutes), 0) AS mutes
    FROM departure WHERE since >= :begin AND since < :end
    AND (CAST(:topics AS bigint[]) IS NULL OR topic_id = ANY(:topics))""")
_FIRST = text("SELECT min(since) FROM departure")


def count_departures(column: str, rows: str) -> str:
    """Return the statement that counts rows with a `topic_id` as `unfollows` or `mutes`.

    It is a part of the statement by which the readers leave, so the two cannot differ.
    """
    return (
        f"INSERT INTO departure (topic_id, since, {column}) "
        "SELECT topic_id, date_bin('5 minutes', now(), timestamptz '2000-01-01 00:00Z'), count(*) "
        f"FROM {rows} GROUP BY topic_id"
    )


def departures_between(
    session: Session, topic_ids: Sequence[int] | None, begin: datetime, end: datetime
) -> Departures:
    """Add up who unfollowed or muted one of the topics; None is all topics."""
    topics = None if topic_ids is None else list(topic_ids)
    row = session.execute(_COUNT, {"topics": topics, "begin": begin, "end": end}).one()
    return Departures(unfollows=int(row.unfollows), mutes=int(row.mutes))


def first_departure(session: Session) -> datetime | None:
    """Return since when departures are on record; None while none is."""
    first: datetime | None = session.execute(_FIRST).scalar_one()
    return first


def fold_departures(session: Session) -> None:
    """Make one row of a topic's day, and delete what is older than it is kept."""
    session.execute(_FOLD, {"exact": EXACT_DAYS, "keep": KEEP_DAYS})
    session.execute(_FORGET, {"keep": KEEP_DAYS})
