"""What the sweep looks for: alerts whose message was lost, or whose time has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import queue_of
from service.domain.story import StoryState
from service.domain.subscription import Urgency
from service.store.sql_fragments import (
    alert_has_not_ended,
    alert_runs,
    batch_is_open,
    has_open_batch,
    has_open_shard,
    is_held,
    may_go_on,
)

MOST_ALERTS = 200
"""Most alerts of one search; the next pass of the sweep, a second later, takes the others."""


@dataclass(frozen=True, slots=True)
class QueuedAlert:
    """An alert by id, and the queue its messages wait in."""

    alert_id: int
    queue: str


def _search(session: Session, condition: str, **values: object) -> list[QueuedAlert]:
    rows = session.execute(
        text(
            f"SELECT a.id, a.urgency FROM alert a WHERE {condition} "
            "ORDER BY a.urgency DESC, a.created_at LIMIT :most"
        ),
        {"most": MOST_ALERTS, **values},
    )
    return [_queued(alert_id, rank) for alert_id, rank in rows]


def _queued(alert_id: int, rank: int) -> QueuedAlert:
    return QueuedAlert(alert_id, queue_of(Urgency.of_rank(rank)))


_TO_PLAN = f"""
a.state = 'planning' AND a.started_at IS NULL AND {may_go_on("a")}
AND greatest(a.created_at, a.send_at) < now() - make_interval(secs => :older)
"""


def alerts_to_plan(session: Session, older_s: float) -> list[QueuedAlert]:
    """Return alerts that have waited for their plan longer than `older_s` seconds."""
    return _search(session, _TO_PLAN, older=older_s)


_TO_FAN_OUT = f"""
{alert_runs("a")} AND a.started_at < now() - make_interval(secs => :older)
AND {may_go_on("a")} AND {has_open_shard("a.id")}
"""


def alerts_to_fan_out(session: Session, older_s: float) -> list[QueuedAlert]:
    """Return alerts planned more than `older_s` seconds ago that still have open shards."""
    return _search(session, _TO_FAN_OUT, older=older_s)


_TO_DELIVER = f"""
{alert_runs("a")} AND {may_go_on("a")} AND EXISTS (
    SELECT 1 FROM batch b WHERE b.alert_id = a.id AND {batch_is_open("b")}
    AND b.claimable_at <= now() AND b.provider = ANY(:providers) AND b.strangers = :strangers
    AND NOT EXISTS (SELECT 1 FROM hold h WHERE {is_held("b.provider")}
        AND (h.probe_at IS NULL OR h.probe_at > now())))
AND NOT EXISTS (
    SELECT 1 FROM batch l WHERE l.alert_id = a.id AND {batch_is_open("l")}
    AND l.lease_token IS NOT NULL AND l.claimable_at > now() AND l.strangers = :strangers
    AND NOT EXISTS (SELECT 1 FROM batch w WHERE w.alert_id = a.id AND {batch_is_open("w")}
        AND w.claimable_at <= now() - interval '3 s' AND w.strangers = :strangers))
"""


def alerts_to_deliver(
    session: Session, providers: Sequence[str], *, strangers: bool = False
) -> list[QueuedAlert]:
    """Return running alerts with a batch to claim and no process at work on them.

    Batches of a held provider do not count, unless its probe is due. With `strangers` only those
    of strangers' servers count, otherwise only all others.
    """
    return _search(session, _TO_DELIVER, providers=list(providers), strangers=strangers)


def alerts_past_deadline(session: Session) -> list[QueuedAlert]:
    """Return alerts whose deadline has passed and that have not ended."""
    return _search(session, f"{alert_has_not_ended('a')} AND a.expires_at <= now()")


def stopped_alerts_to_settle(session: Session) -> list[QueuedAlert]:
    """Return stopped alerts whose totals have not settled."""
    return _search(session, "a.state = 'stopped' AND NOT a.settled")


_REJECTED = f"""
SELECT a.id, a.urgency, a.rejected_by FROM alert a
WHERE {alert_runs("a")} AND a.rejected_by <> '{{}}' AND EXISTS (
    SELECT 1 FROM batch b WHERE b.alert_id = a.id AND {batch_is_open("b")}
    AND b.provider = ANY(a.rejected_by))
LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
"""


def lock_rejected_alerts(session: Session) -> list[tuple[QueuedAlert, list[str]]]:
    """Lock running alerts that providers have rejected while batches of theirs are open.

    A replay that means to try the provider again comes wholly before this or wholly after.
    """
    rows = session.execute(text(_REJECTED), {"most": MOST_ALERTS})
    return [(_queued(alert_id, rank), providers) for alert_id, rank, providers in rows]


_TO_FINISH = f"""
{alert_runs("a")} AND a.started_at < now() - interval '1 s'
AND NOT {has_open_shard("a.id")} AND NOT {has_open_batch("a.id")}
"""


def alerts_to_finish(session: Session) -> list[QueuedAlert]:
    """Return running alerts with nothing open: the process that should have ended them did not."""
    return _search(session, _TO_FINISH)


_CORRECTIONS_TO_PLAN = """
a.state = 'planning' AND a.started_at IS NULL AND a.source_alert_id IN (
    SELECT coalesce(o.source_alert_id, o.id) FROM alert o WHERE o.id = :alert_id)
"""


def corrections_to_plan(session: Session, alert_id: int) -> list[QueuedAlert]:
    """Return the corrections and withdrawals that waited for this alert to settle."""
    return _search(session, _CORRECTIONS_TO_PLAN, alert_id=alert_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertToStart:
    """A scheduled alert whose time has come, with what its story says now."""

    alert_id: int
    queue: str
    slug: str
    story_state: StoryState
    story_expires_at: datetime | None
    embargo_until: datetime | None
    undoable: bool
    now: datetime


_TO_START = f"""
SELECT a.id, a.urgency, a.undoable, s.slug, s.state, s.expires_at, s.embargo_until, now() AS now
FROM alert a JOIN story s ON s.id = a.story_id
WHERE a.state = 'scheduled' AND a.send_at <= now() AND a.expires_at > now()
    AND {may_go_on("a")}
    AND (a.page_due_at IS NULL OR a.page_due_at <= now())
ORDER BY a.send_at LIMIT 20
"""


def alerts_to_start(session: Session) -> list[AlertToStart]:
    """Return the scheduled alerts that should start now; not those whose page is checked later."""
    return [
        AlertToStart(
            alert_id=row.id,
            queue=queue_of(Urgency.of_rank(row.urgency)),
            slug=row.slug,
            story_state=StoryState(row.state),
            story_expires_at=row.expires_at,
            embargo_until=row.embargo_until,
            undoable=row.undoable,
            now=row.now,
        )
        for row in session.execute(text(_TO_START))
    ]
