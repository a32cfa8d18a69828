"""What the sweep looks for: alerts and batches whose message was lost, or whose time has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import queue_of
from service.domain.story import StoryState
from service.domain.subscription import Urgency
from service.store.alerts import alerts
from service.store.deliveries import batches
from service.store.stories import stories

LOOK = 200
"""Most alerts one pass takes up; the next pass, a second later, takes the others."""

_SWEEP_LOCK = 7240


def only_one(session: Session) -> bool:
    """Whether this transaction is the one sweep at work; false when another is."""
    found = session.execute(
        text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _SWEEP_LOCK}
    ).scalar_one()
    return bool(found)


@dataclass(frozen=True, slots=True)
class Found:
    """An alert by id, and the queue its messages wait in."""

    alert_id: int
    queue: str


def _found(session: Session, condition: str, **values: object) -> list[Found]:
    rows = session.execute(
        text(
            f"SELECT a.id, a.urgency FROM alert a WHERE {condition} "
            "ORDER BY a.urgency DESC, a.created_at LIMIT :look"
        ),
        {"look": LOOK, **values},
    )
    return [Found(alert_id, queue_of(Urgency.of_rank(rank))) for alert_id, rank in rows]


def unplanned(session: Session, older_s: float) -> list[Found]:
    """Return alerts that should have been planned by now."""
    return _found(
        session,
        "a.state = 'planning' AND a.started_at IS NULL "
        "AND greatest(a.created_at, a.send_at) < now() - make_interval(secs => :older)",
        older=older_s,
    )


def unpacked(session: Session, older_s: float) -> list[Found]:
    """Return running alerts that still have shards to pack."""
    return _found(
        session,
        "a.state IN ('planning', 'sending') "
        "AND a.started_at < now() - make_interval(secs => :older) "
        "AND EXISTS (SELECT 1 FROM shard s WHERE s.alert_id = a.id AND NOT s.done)",
        older=older_s,
    )


def undelivered(session: Session, providers: Sequence[str]) -> list[Found]:
    """Return running alerts with a batch to claim and nobody at work on them.

    Batches of a held provider do not count, unless its probe is due.
    """
    return _found(
        session,
        "a.state IN ('planning', 'sending') AND EXISTS ("
        "SELECT 1 FROM batch b WHERE b.alert_id = a.id AND b.finished_at IS NULL "
        "AND b.claimable_at <= now() AND b.provider = ANY(:providers) AND NOT EXISTS ("
        "SELECT 1 FROM hold h WHERE h.provider = b.provider "
        "AND (h.probe_at IS NULL OR h.probe_at > now()))) "
        "AND NOT EXISTS (SELECT 1 FROM batch l WHERE l.alert_id = a.id "
        "AND l.finished_at IS NULL AND l.lease_token IS NOT NULL AND l.claimable_at > now() "
        "AND NOT EXISTS (SELECT 1 FROM batch w WHERE w.alert_id = a.id AND w.finished_at IS NULL "
        "AND w.claimable_at <= now() - interval '3 s'))",
        providers=list(providers),
    )


def overdue(session: Session) -> list[Found]:
    """Return alerts whose deadline has passed and that are not ended."""
    return _found(
        session, "a.state IN ('scheduled', 'planning', 'sending') AND a.expires_at <= now()"
    )


def stopped(session: Session) -> list[Found]:
    """Return stopped alerts whose totals have not settled."""
    return _found(session, "a.state = 'stopped' AND NOT a.settled")


def rejected(session: Session) -> list[tuple[Found, list[str]]]:
    """Lock running alerts that a provider has rejected while batches of it are open.

    A replay that means to try the provider again comes wholly before this or wholly after.
    """
    rows = session.execute(
        text(
            "SELECT a.id, a.urgency, a.rejected_by FROM alert a "
            "WHERE a.state IN ('planning', 'sending') AND a.rejected_by <> '{}' AND EXISTS ("
            "SELECT 1 FROM batch b WHERE b.alert_id = a.id AND b.finished_at IS NULL "
            "AND b.provider = ANY(a.rejected_by)) LIMIT :look FOR NO KEY UPDATE SKIP LOCKED"
        ),
        {"look": LOOK},
    )
    return [(Found(i, queue_of(Urgency.of_rank(rank))), names) for i, rank, names in rows]


def done(session: Session) -> list[Found]:
    """Return running alerts with nothing open: somebody forgot to say so."""
    return _found(
        session,
        "a.state IN ('planning', 'sending') AND a.started_at < now() - interval '1 s' "
        "AND NOT EXISTS (SELECT 1 FROM shard s WHERE s.alert_id = a.id AND NOT s.done) "
        "AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.alert_id = a.id AND b.finished_at IS NULL)",
    )


def waiting_for(session: Session, alert_id: int) -> list[Found]:
    """Return the corrections and withdrawals that waited for this alert to settle."""
    return _found(
        session,
        "a.state = 'planning' AND a.started_at IS NULL AND a.source_alert_id IN ("
        "SELECT coalesce(o.source_alert_id, o.id) FROM alert o WHERE o.id = :alert_id)",
        alert_id=alert_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A scheduled alert whose time has come, with what its story says now."""

    alert_id: int
    queue: str
    slug: str
    story_state: StoryState
    story_expires_at: datetime | None
    embargo_until: datetime | None
    now: datetime


def due(session: Session) -> list[Due]:
    """Return the scheduled alerts that should start now; not those whose page is asked later."""
    rows = session.execute(
        text(
            "SELECT a.id, a.urgency, s.slug, s.state, s.expires_at, s.embargo_until, now() AS now "
            "FROM alert a JOIN story s ON s.id = a.story_id "
            "WHERE a.state = 'scheduled' AND a.send_at <= now() AND a.expires_at > now() "
            "AND (a.page_due_at IS NULL OR a.page_due_at <= now()) "
            "ORDER BY a.send_at LIMIT 20"
        )
    ).all()
    return [
        Due(
            alert_id=row.id,
            queue=queue_of(Urgency.of_rank(row.urgency)),
            slug=row.slug,
            story_state=StoryState(row.state),
            story_expires_at=row.expires_at,
            embargo_until=row.embargo_until,
            now=row.now,
        )
        for row in rows
    ]


def start(session: Session, alert_id: int) -> bool:
    """Turn a scheduled alert into one that is being planned; False when it is not scheduled.

    The story is locked first, as by everybody who decides on its alerts: a retraction comes
    wholly before this or wholly after. A correction stops what it replaces now, not before.
    """
    alert = alerts.get(session, alert_id)
    if alert is None:
        return False
    stories.lock(session, alert.story_id)
    found = session.execute(
        text(
            "UPDATE alert SET state = 'planning' WHERE id = :a AND state = 'scheduled' RETURNING id"
        ),
        {"a": alert_id},
    )
    if found.one_or_none() is None:
        return False
    alerts.overtake(session, alert, batches.database_now(session))
    return True


def stop_scheduled(session: Session, alert_id: int, reason: str) -> None:
    """Stop a scheduled alert that must not start; it leaves its story's place."""
    session.execute(
        text(
            "UPDATE alert SET state = 'stopped', stop_reason = :reason, settled = true, "
            "finished_at = now(), void = (kind = 'first') WHERE id = :a AND state = 'scheduled'"
        ),
        {"a": alert_id, "reason": reason},
    )


def ask_page_later(session: Session, alert_id: int, seconds: float) -> None:
    """Ask for the story's page again after a while."""
    session.execute(
        text("UPDATE alert SET page_due_at = now() + make_interval(secs => :s) WHERE id = :a"),
        {"a": alert_id, "s": seconds},
    )


def forget_old_answers(session: Session) -> None:
    """Drop what Idempotency-Keys were answered more than 48 hours ago, some at a time."""
    session.execute(
        text(
            "DELETE FROM idempotency WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency "
            "WHERE created_at < now() - interval '48 h' LIMIT 5000))"
        )
    )
