"""What a reader was sent: the newest alerts that a provider took for the reader's devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.delivery import State
from service.domain.subscription import Urgency
from service.store.sql_fragments import state_in

LONGEST_AGO = timedelta(days=14)
MOST_SEARCHED = 60
"""So many of the newest alerts are searched for the reader's devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlert:
    """An alert that a provider took for one of a reader's devices."""

    alert_id: int
    slug: str
    title: str
    body: str
    language: str
    urgency: Urgency
    at: datetime


# A reader's shard is found first: a batch of another shard cannot hold the reader's devices.
# Corrections have the shard numbers of the alert that they correct. Of two headlines the batch
# knows which one the reader got.
_PAST_ALERTS = text(f"""
    WITH recent AS (
        SELECT id, story_id, title, body, headline_test, urgency,
            coalesce(send_at, created_at) AS at, coalesce(source_alert_id, id) AS ranged
        FROM alert WHERE created_at > :since AND NOT dry_run AND started_at IS NOT NULL
            AND kind NOT IN ('test', 'digest')
        ORDER BY created_at DESC LIMIT :searched)
    SELECT recent.id, story.slug, story.language, recent.urgency, recent.at,
        coalesce(second->>'title', recent.title, story.headline) AS title,
        coalesce(second->>'body', recent.body, story.summary) AS body
    FROM recent
    JOIN story ON story.id = recent.story_id
    JOIN shard ON shard.alert_id = recent.ranged AND shard.lo <= :reader AND :reader < shard.hi
    CROSS JOIN LATERAL (
        SELECT CASE WHEN batch.headline = 1 THEN recent.headline_test END AS second
        FROM batch, unnest(CAST(:devices AS bigint[])) AS mine(id),
            LATERAL array_position(batch.device_ids, mine.id) AS place
        WHERE batch.alert_id = recent.id AND batch.shard_n = shard.n
        AND place IS NOT NULL
        AND {state_in("get_byte(batch.states, place - 1)", [State.ACCEPTED])} LIMIT 1) reached
    ORDER BY recent.at DESC LIMIT :limit""")


def past_alerts(
    session: Session, reader_id: int, device_ids: Sequence[int], now: datetime, limit: int
) -> list[PastAlert]:
    """Return the newest alerts that a provider took for one of these devices of the reader."""
    if not device_ids:
        return []
    values = {
        "since": now - LONGEST_AGO,
        "searched": MOST_SEARCHED,
        "reader": reader_id,
        "devices": list(device_ids),
        "limit": limit,
    }
    return [
        PastAlert(
            alert_id=row.id,
            slug=row.slug,
            title=row.title,
            body=row.body,
            language=row.language,
            urgency=Urgency.of_rank(row.urgency),
            at=row.at,
        )
        for row in session.execute(_PAST_ALERTS, values)
    ]
