"""What the site's pages look up across tables: read models for the desk, for readers, for admins.

Also the table `autosave`: what staff typed and have not saved yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.delivery import State
from service.domain.new_alerts import CANARY
from service.domain.subscription import Urgency
from service.domain.topic import Topic, with_ancestors
from service.store.sql_fragments import state_in

NEW_STORY = 0
SENT_REACHES = timedelta(days=14)
SENT_LOOKS_AT = 60


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
class Sent:
    """An alert that reached one of a reader's devices."""

    alert_id: int
    slug: str
    title: str
    body: str
    language: str
    urgency: Urgency
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """An alert of the last hours, and by which topics it may have reached whom."""

    alert_id: int
    story_id: int
    headline: str
    urgency: Urgency
    at: datetime
    topics: tuple[str, ...]
    everyone: bool


@dataclass(frozen=True, slots=True)
class Autosave:
    """What somebody typed and has not saved yet."""

    staff_id: int
    email: str
    content: dict[str, Any]
    saved_at: datetime


_LAST_ALERTS = text("""
    SELECT DISTINCT ON (story_id) story_id, id, state, kind, urgency, dry_run,
        coalesce(send_at, created_at) AS at
    FROM alert WHERE story_id = ANY(:ids) AND kind <> 'test' AND created_by <> :canary
    ORDER BY story_id, created_at DESC, id DESC""")

# A reader's shard is found first: a batch of another shard cannot hold the reader's devices.
# Corrections have the shard numbers of the alert that they correct.
_SENT_TO = text(f"""
    WITH recent AS (
        SELECT id, story_id, title, body, urgency, coalesce(send_at, created_at) AS at,
            coalesce(source_alert_id, id) AS ranged
        FROM alert WHERE created_at > :since AND NOT dry_run AND started_at IS NOT NULL
            AND kind <> 'test'
        ORDER BY created_at DESC LIMIT :looks_at)
    SELECT recent.id, story.slug, coalesce(recent.title, story.headline) AS title,
        coalesce(recent.body, story.summary) AS body, story.language, recent.urgency, recent.at
    FROM recent
    JOIN story ON story.id = recent.story_id
    JOIN shard ON shard.alert_id = recent.ranged AND shard.lo <= :reader AND :reader < shard.hi
    WHERE EXISTS (
        SELECT 1 FROM batch, unnest(CAST(:devices AS bigint[])) AS mine(id),
            LATERAL array_position(batch.device_ids, mine.id) AS place
        WHERE batch.alert_id = recent.id AND batch.shard_n = shard.n
        AND place IS NOT NULL
        AND {state_in("get_byte(batch.states, place - 1)", [State.ACCEPTED])})
    ORDER BY recent.at DESC LIMIT :limit""")

_DISTURBANCES = text("""
    SELECT alert.id, story_id, story.headline, alert.urgency, everyone,
        coalesce(alert.topics, story.topics) AS topics, coalesce(send_at, alert.created_at) AS at
    FROM alert JOIN story ON story.id = alert.story_id
    WHERE alert.created_at > :since AND NOT dry_run AND started_at IS NOT NULL
        AND kind NOT IN ('withdrawal', 'test')
    ORDER BY at DESC LIMIT 50""")

_SECTIONS = text("""
    SELECT id, path, label FROM topic WHERE path NOT LIKE '%/%'
    ORDER BY label, path LIMIT :limit""")

_BELOW = text("""
    SELECT id, path, label FROM topic
    WHERE path LIKE :pattern AND path NOT LIKE :deeper ORDER BY label, path LIMIT :limit""")

_AUTOSAVE = text("""
    INSERT INTO autosave (staff_id, story_id, content, saved_at)
    VALUES (:staff_id, :story_id, CAST(:content AS jsonb), :at)
    ON CONFLICT (staff_id, story_id) DO UPDATE
        SET content = excluded.content, saved_at = excluded.saved_at""")

_AUTOSAVES = text("""
    SELECT staff_id, email, content, autosave.saved_at
    FROM autosave JOIN staff ON staff.id = staff_id WHERE story_id = :story_id
    ORDER BY saved_at DESC LIMIT 20""")

_DROP_AUTOSAVE = text("""
    DELETE FROM autosave WHERE staff_id = :staff_id AND story_id = :story_id""")

_PER_MINUTE = text("""
    WITH step AS (
        SELECT b.provider, progress[i + 1] AS accepted,
            floor(extract(epoch FROM CAST(:now AS timestamptz) - coalesce(a.send_at, a.created_at)
                - progress[i] * interval '1 millisecond') / 60)::int AS minutes_ago
        FROM (SELECT id, send_at, created_at FROM alert WHERE created_at > :since
            ORDER BY created_at DESC LIMIT 100) a
        JOIN batch b ON b.alert_id = a.id
        CROSS JOIN LATERAL generate_series(1, cardinality(progress), 2) AS i)
    SELECT minutes_ago, provider, sum(accepted)::bigint AS accepted FROM step
    WHERE minutes_ago BETWEEN 0 AND :last GROUP BY 1, 2""")

_NAMES = text("""
    SELECT 'staff:' || id AS caller, email AS name FROM staff
        WHERE 'staff:' || id = ANY(:callers)
    UNION ALL SELECT 'key:' || id, name FROM api_key WHERE 'key:' || id = ANY(:callers)""")


def last_alerts(session: Session, story_ids: Sequence[int]) -> dict[int, LastAlert]:
    """Return the newest alert of each story that has one; tests are none of its readers'."""
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


def sent_to(
    session: Session, reader_id: int, device_ids: Sequence[int], now: datetime, limit: int
) -> list[Sent]:
    """Return the newest alerts that a provider took for one of these devices of the reader."""
    if not device_ids:
        return []
    values = {
        "since": now - SENT_REACHES,
        "looks_at": SENT_LOOKS_AT,
        "reader": reader_id,
        "devices": list(device_ids),
        "limit": limit,
    }
    return [
        Sent(
            alert_id=row.id,
            slug=row.slug,
            title=row.title,
            body=row.body,
            language=row.language,
            urgency=Urgency.of_rank(row.urgency),
            at=row.at,
        )
        for row in session.execute(_SENT_TO, values)
    ]


def disturbances(
    session: Session, topics: Sequence[str], *, everyone: bool, since: datetime
) -> list[Disturbance]:
    """Return the alerts since then that may have reached followers of these topics.

    Two alerts share readers as soon as one topic, or one above it, is of both.
    """
    mine = set(with_ancestors(topics))
    found = [_disturbance(row) for row in session.execute(_DISTURBANCES, {"since": since})]
    return [
        one
        for one in found
        if everyone or one.everyone or mine.intersection(with_ancestors(one.topics))
    ]


def _disturbance(row: Any) -> Disturbance:
    return Disturbance(
        alert_id=row.id,
        story_id=row.story_id,
        headline=row.headline,
        urgency=Urgency.of_rank(row.urgency),
        at=row.at,
        topics=tuple(row.topics),
        everyone=row.everyone,
    )


def sections(session: Session, limit: int) -> list[Topic]:
    """Return the topics at the top of the tree."""
    return [
        Topic(row.id, row.path, row.label) for row in session.execute(_SECTIONS, {"limit": limit})
    ]


def below(session: Session, path: str, limit: int) -> list[Topic]:
    """Return the topics right below one."""
    values = {"pattern": f"{path}/%", "deeper": f"{path}/%/%", "limit": limit}
    rows = session.execute(_BELOW, values)
    return [Topic(row.id, row.path, row.label, parent=path) for row in rows]


def autosave(session: Session, staff_id: int, story_id: int, content: str, at: datetime) -> None:
    """Keep what was typed, as JSON, in place of what was kept before."""
    values = {"staff_id": staff_id, "story_id": story_id, "content": content, "at": at}
    session.execute(_AUTOSAVE, values)


def autosaves(session: Session, story_id: int) -> list[Autosave]:
    """Return what people have typed into a story and not saved, the newest first."""
    rows = session.execute(_AUTOSAVES, {"story_id": story_id})
    return [Autosave(row.staff_id, row.email, row.content, row.saved_at) for row in rows]


def drop_autosave(session: Session, staff_id: int, story_id: int) -> None:
    """Forget what was typed: it was saved, or thrown away."""
    session.execute(_DROP_AUTOSAVE, {"staff_id": staff_id, "story_id": story_id})


def accepted_per_minute(session: Session, now: datetime, minutes: int) -> dict[str, list[int]]:
    """Return how many pushes each provider took in each of the last minutes, the oldest first."""
    values = {"now": now, "since": now - timedelta(minutes=minutes, hours=6), "last": minutes - 1}
    found: dict[str, list[int]] = {}
    for minutes_ago, provider, accepted in session.execute(_PER_MINUTE, values):
        series = found.setdefault(str(provider), [0] * minutes)
        series[minutes - 1 - minutes_ago] = int(accepted)
    return found


def names_of(session: Session, callers: set[str]) -> dict[str, str]:
    """Return what people call those callers: the e-mail of staff, the name of a key."""
    rows = session.execute(_NAMES, {"callers": sorted(callers)})
    return {row.caller: row.name for row in rows}
