"""What the desk sees of alerts beside their stories: the newest of each, and the recent ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.new_alerts import CANARY
from service.domain.subscription import Urgency
from service.domain.topic import with_ancestors


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAlert:
    """The newest alert of a story, as the desk's list shows it."""

    id: int
    state: AlertState
    kind: Kind
    urgency: Urgency
    at: datetime
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentAlert:
    """An alert of the last hours, and by which topics it may have reached whom."""

    alert_id: int
    story_id: int
    headline: str
    urgency: Urgency
    at: datetime
    topics: tuple[str, ...]
    everyone: bool


_LAST_ALERTS = text("""
    SELECT DISTINCT ON (story_id) story_id, id, state, kind, urgency, dry_run,
        coalesce(send_at, created_at) AS at
    FROM alert WHERE story_id = ANY(:ids) AND kind NOT IN ('test', 'digest')
        AND created_by <> :canary
    ORDER BY story_id, created_at DESC, id DESC""")

_RECENT_ALERTS = text("""
    SELECT alert.id, story_id, story.headline, alert.urgency, everyone,
        coalesce(alert.topics, story.topics) AS topics, coalesce(send_at, alert.created_at) AS at
    FROM alert JOIN story ON story.id = alert.story_id
    WHERE alert.created_at > :since AND NOT dry_run AND started_at IS NOT NULL
        AND kind NOT IN ('withdrawal', 'test', 'digest')
    ORDER BY at DESC LIMIT 50""")


def last_alerts(session: Session, story_ids: Sequence[int]) -> dict[int, LastAlert]:
    """Return the newest alert of each story that has one, tests left out."""
    rows = session.execute(_LAST_ALERTS, {"ids": list(story_ids), "canary": CANARY})
    return {
        row.story_id: LastAlert(
            id=row.id,
            state=AlertState(row.state),
            kind=Kind(row.kind),
            urgency=Urgency.of_rank(row.urgency),
            at=row.at,
            dry_run=row.dry_run,
        )
        for row in rows
    }


def recent_alerts(
    session: Session, topics: Sequence[str], *, everyone: bool, since: datetime
) -> list[RecentAlert]:
    """Return the alerts since then that may have reached followers of these topics.

    Two alerts share readers as soon as both have a topic, or one above it, in common.
    """
    own_topics = set(with_ancestors(topics))
    alerts = [_recent_alert(row) for row in session.execute(_RECENT_ALERTS, {"since": since})]
    return [
        alert
        for alert in alerts
        if everyone or alert.everyone or own_topics.intersection(with_ancestors(alert.topics))
    ]


def _recent_alert(row: Row[Any]) -> RecentAlert:
    return RecentAlert(
        alert_id=row.id,
        story_id=row.story_id,
        headline=row.headline,
        urgency=Urgency.of_rank(row.urgency),
        at=row.at,
        topics=tuple(row.topics),
        everyone=row.everyone,
    )
