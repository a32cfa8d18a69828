"""What planning reads of an alert, locked until its shards are written."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Kind
from service.domain.pace.local_release import LocalRelease
from service.domain.subscription import Urgency
from service.store.sql_fragments import REVISION_OF_APPS, may_go_on


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertToPlan:
    """A locked alert that is to be planned, with what its story says now.

    `topics` are the alert's own where it is `named` for them, its story's elsewhere. `languages`
    are its story's and those of its own words.
    """

    id: int
    story_id: int
    kind: Kind
    urgency: Urgency
    topics: tuple[str, ...]
    named: bool
    everyone: bool
    reader_id: int | None
    source_alert_id: int | None
    expires_at: datetime
    now: datetime
    apps: tuple[str, ...] | None
    apps_revision: int
    languages: tuple[str, ...]
    spread: timedelta
    local_release: LocalRelease | None
    ttl: timedelta
    story_expires_at: datetime | None


_ALERT_TO_PLAN = f"""
SELECT a.id, a.story_id, a.kind, a.urgency, a.topics, a.everyone, a.reader_id, a.source_alert_id,
    a.expires_at, a.started_at, a.locales, s.language, s.topics AS story_topics, a.apps,
    clock_timestamp() AS now, a.spread_s, a.local_release, a.ttl_s,
    s.expires_at AS story_expires_at,
    {REVISION_OF_APPS} AS apps_revision
FROM alert a JOIN story s ON s.id = a.story_id
WHERE a.id = :alert_id AND a.state = 'planning' AND {may_go_on("a")}
FOR NO KEY UPDATE OF a
"""


def lock_alert_to_plan(session: Session, alert_id: int) -> AlertToPlan | None:
    """Lock an alert that waits to be planned; None when another process did it or it has ended."""
    row = session.execute(text(_ALERT_TO_PLAN), {"alert_id": alert_id}).one_or_none()
    if row is None or row.started_at is not None:
        return None
    return AlertToPlan(
        id=row.id,
        story_id=row.story_id,
        kind=Kind(row.kind),
        urgency=Urgency.of_rank(row.urgency),
        topics=tuple(row.topics if row.topics is not None else row.story_topics),
        named=row.topics is not None,
        everyone=row.everyone,
        reader_id=row.reader_id,
        source_alert_id=row.source_alert_id,
        expires_at=row.expires_at,
        now=row.now,
        apps=None if row.apps is None else tuple(row.apps),
        apps_revision=row.apps_revision,
        languages=(row.language, *row.locales),
        spread=timedelta(seconds=row.spread_s),
        local_release=LocalRelease.of_json(row.local_release),
        ttl=timedelta(seconds=row.ttl_s),
        story_expires_at=row.story_expires_at,
    )


_REPLACED_IS_SETTLING = """
SELECT EXISTS (
    SELECT 1 FROM alert replaced, alert me WHERE me.id = :alert_id AND replaced.id <> me.id
    AND (replaced.id = :source OR replaced.source_alert_id = :source
        OR (me.source_alert_id IS NOT NULL AND replaced.story_id = me.story_id
            AND replaced.state = 'stopped'))
    AND NOT replaced.settled AND NOT replaced.dry_run AND NOT me.dry_run
    AND replaced.state <> 'scheduled' AND replaced.created_at <= me.created_at)
"""


def is_replaced_alert_settling(session: Session, alert: AlertToPlan) -> bool:
    """Whether an alert that this one replaces still has pushes on their way.

    A correction must not overtake what it corrects: the last text to arrive is the one that stays.
    """
    values = {"alert_id": alert.id, "source": alert.source_alert_id}
    return bool(session.execute(text(_REPLACED_IS_SETTLING), values).scalar_one())
