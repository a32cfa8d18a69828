"""What the workers do to an alert's row: begin to plan it, start it when due, end it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState
from service.domain.subscription import Urgency
from service.store.alerts import alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplanned:
    """A locked alert that is to be planned, with what its story says now."""

    id: int
    story_id: int
    urgency: Urgency
    topics: tuple[str, ...]
    named: bool
    everyone: bool
    reader_id: int | None
    source_alert_id: int | None
    expires_at: datetime
    now: datetime


_UNPLANNED = """
SELECT a.id, a.story_id, a.urgency, a.topics, a.everyone, a.reader_id, a.source_alert_id,
    a.expires_at, a.started_at, s.topics AS story_topics, clock_timestamp() AS now
FROM alert a JOIN story s ON s.id = a.story_id
WHERE a.id = :a AND a.state = 'planning' FOR UPDATE OF a
"""


def unplanned(session: Session, alert_id: int) -> Unplanned | None:
    """Lock an alert that waits to be planned; None when somebody did it or it is over."""
    row = session.execute(text(_UNPLANNED), {"a": alert_id}).one_or_none()
    if row is None or row.started_at is not None:
        return None
    return Unplanned(
        id=row.id,
        story_id=row.story_id,
        urgency=Urgency.of_rank(row.urgency),
        topics=tuple(row.topics if row.topics is not None else row.story_topics),
        named=row.topics is not None,
        everyone=row.everyone,
        reader_id=row.reader_id,
        source_alert_id=row.source_alert_id,
        expires_at=row.expires_at,
        now=row.now,
    )


def chain_is_settling(session: Session, alert: Unplanned) -> bool:
    """Whether an alert that this one replaces still has pushes in the air.

    A correction must not overtake what it corrects: the last text to arrive is the one that stays.
    """
    found = session.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM alert o, alert me WHERE me.id = :a AND o.id <> me.id "
            "AND (o.id = :source OR o.source_alert_id = :source "
            "OR (me.source_alert_id IS NOT NULL AND o.story_id = me.story_id "
            "AND o.state = 'stopped')) AND NOT o.settled "
            "AND NOT o.dry_run AND NOT me.dry_run AND o.state <> 'scheduled' "
            "AND o.created_at <= me.created_at)"
        ),
        {"a": alert.id, "source": alert.source_alert_id},
    ).scalar_one()
    return bool(found)


_FREEZE = """
UPDATE alert a SET started_at = :at, topic_ids = :topic_ids, above = :above,
    title = coalesce(a.title, s.headline), body = coalesce(a.body, s.summary)
FROM story s WHERE a.id = :a AND s.id = a.story_id
"""


def freeze(
    session: Session, alert: Unplanned, topic_ids: Sequence[int], above: Sequence[int]
) -> None:
    """Fix the words, the audience and the instant at which every rule is judged."""
    session.execute(
        text(_FREEZE),
        {"a": alert.id, "at": alert.now, "topic_ids": list(topic_ids), "above": list(above)},
    )


def lock_overdue(session: Session, alert_id: int) -> bool:
    """Lock an alert whose deadline has passed; false when a replay gave it another, or it ended."""
    found = session.execute(
        text(
            "SELECT 1 FROM alert WHERE id = :a AND state IN ('scheduled', 'planning', 'sending') "
            "AND expires_at <= now() FOR NO KEY UPDATE"
        ),
        {"a": alert_id},
    )
    return found.one_or_none() is not None


def expire_unplanned(session: Session, alert_id: int) -> None:
    """End an alert whose deadline passed before any push was tried."""
    session.execute(
        text(
            "UPDATE alert SET state = 'expired', finished_at = now(), settled = true "
            "WHERE id = :a AND state IN ('scheduled', 'planning') AND started_at IS NULL"
        ),
        {"a": alert_id},
    )
    alerts.free_story_if_nothing_accepted(session, alert_id)


_OPEN = """
SELECT EXISTS (SELECT 1 FROM shard WHERE alert_id = :a AND NOT done)
    OR EXISTS (SELECT 1 FROM batch WHERE alert_id = :a AND finished_at IS NULL)
"""
_END = """
UPDATE alert SET state = :state, finished_at = coalesce(finished_at, now()), settled = true
WHERE id = :a
"""
_EXPIRED_UNTRIED = """
SELECT coalesce(bool_or(counts[5] > 0) AND NOT bool_or(started_at IS NOT NULL), false)
FROM batch WHERE alert_id = :a
"""


def finish_if_done(session: Session, alert_id: int) -> bool:
    """End an alert when nothing of it is open. Call it in a NEW transaction after a settle.

    In the settling one, two workers with the last two batches would each see the other's as open,
    for ever. The row is locked first and looked at second: a replay that opens batches again in
    the same moment comes wholly before and is seen, or wholly after; else its alert would be
    called finished with deliveries that nobody sends.
    """
    row = session.execute(
        text("SELECT state, started_at, settled FROM alert WHERE id = :a FOR UPDATE"),
        {"a": alert_id},
    ).one_or_none()
    if row is None or row.settled or row.state == AlertState.SCHEDULED or row.started_at is None:
        return False
    if session.execute(text(_OPEN), {"a": alert_id}).scalar_one():
        return False
    state = AlertState(row.state)
    if state.running:
        expired = session.execute(text(_EXPIRED_UNTRIED), {"a": alert_id}).scalar_one()
        state = AlertState.EXPIRED if expired else AlertState.FINISHED
    session.execute(text(_END), {"a": alert_id, "state": state.value})
    alerts.free_story_if_nothing_accepted(session, alert_id)
    return True


def settle_unstarted(session: Session, alert_id: int) -> None:
    """Settle a stopped alert that was never planned: it has nothing to account for."""
    session.execute(
        text(
            "UPDATE alert SET settled = true, finished_at = coalesce(finished_at, now()) "
            "WHERE id = :a AND state = 'stopped' AND started_at IS NULL"
        ),
        {"a": alert_id},
    )
    alerts.free_story_if_nothing_accepted(session, alert_id)
