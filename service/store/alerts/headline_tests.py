"""Tests of two headlines: their figures, and the one choice, which lets the rest leave."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Alert, Words, queue_of
from service.domain.delivery import State
from service.domain.headlines.headline_choice import (
    Group,
    HeadlineChoice,
    HeadlineFigures,
    choose_headline,
)
from service.domain.subscription import Urgency
from service.store.alerts.sending import second_words
from service.store.alerts.unfinished_alerts import MOST_ALERTS, QueuedAlert
from service.store.sql_fragments import batch_is_open, count_of, has_open_shard, may_go_on

_WAITS = f"headline IS NULL AND NOT in_test AND {batch_is_open()} AND started_at IS NULL"
_IS_OVER = """a.started_at + make_interval(mins => (a.headline_test->>'minutes')::int) <= now()"""
_TO_END = text(f"""
    SELECT a.id, a.urgency FROM alert a LEFT JOIN headline_choice c ON c.alert_id = a.id
    WHERE a.headline_test IS NOT NULL AND a.started_at > now() - interval '29 days'
    AND a.state IN ('sending', 'finished') AND {may_go_on("a")} AND CASE WHEN c.alert_id IS NULL
        THEN {_IS_OVER} AND NOT {has_open_shard("a.id")}
        ELSE a.expires_at > now()
            AND EXISTS (SELECT 1 FROM batch WHERE batch.alert_id = a.id AND {_WAITS}) END
    LIMIT {MOST_ALERTS}""")


def tests_to_end(session: Session) -> list[QueuedAlert]:
    """Return alerts whose test is over without a choice, or whose rest does not know of it."""
    rows = session.execute(_TO_END)
    return [QueuedAlert(row.id, queue_of(Urgency.of_rank(row.urgency))) for row in rows]


_LOCK = text("""
    SELECT urgency FROM alert a WHERE id = :a AND state IN ('sending', 'finished')
    FOR NO KEY UPDATE SKIP LOCKED""")
_CHOOSE = text("""
    INSERT INTO headline_choice (alert_id, headline, reason) VALUES (:a, :headline, :reason)
    ON CONFLICT DO NOTHING""")
_RELEASE = text(f"""
    UPDATE batch SET headline = choice.headline, claimable_at = now()
    FROM headline_choice choice WHERE choice.alert_id = :a AND batch.alert_id = :a
    AND batch.headline IS NULL AND NOT in_test AND {batch_is_open()} AND started_at IS NULL""")


def end_test(session: Session, alert_id: int) -> str | None:
    """Choose a headline, once, and let the rest leave with it; returns the alert's queue.

    None: somebody else has the alert, or it was stopped.
    """
    urgency = session.execute(_LOCK, {"a": alert_id}).scalar_one_or_none()
    if urgency is None:
        return None
    groups = [group for _, group in _groups(session, [alert_id]).get(alert_id, _NONE)]
    choice = choose_headline(*groups)
    values = {"a": alert_id, "headline": choice.headline, "reason": choice.reason}
    session.execute(_CHOOSE, values)
    session.execute(_RELEASE, {"a": alert_id})
    return queue_of(Urgency.of_rank(urgency))


_Groups = list[tuple[int, Group]]
_NONE: _Groups = [(0, Group(0, 0)), (0, Group(0, 0))]
_FIGURES = text(f"""
    SELECT b.alert_id, b.headline, sum(cardinality(b.device_ids))::int AS sent,
        coalesce(sum({count_of(State.ACCEPTED, "b")}) FILTER (WHERE b.results), 0)::int AS accepted,
        coalesce(sum(bit_count(substring(r.marks FROM length(r.marks) / 2 + 1)))
            FILTER (WHERE b.results), 0)::int AS opened
    FROM batch b LEFT JOIN receipt r USING (alert_id, shard_n, n)
    WHERE b.alert_id = ANY(:ids) AND b.in_test GROUP BY 1, 2""")


def _groups(session: Session, alert_ids: Sequence[int]) -> dict[int, _Groups]:
    """Return by alert and headline how many got it in the test, and what is known of them."""
    groups = {alert_id: list(_NONE) for alert_id in alert_ids}
    for row in session.execute(_FIGURES, {"ids": list(alert_ids)}):
        groups[row.alert_id][row.headline] = (row.sent, Group(row.accepted, row.opened))
    return groups


def figures(session: Session, alerts: Sequence[Alert]) -> dict[int, list[HeadlineFigures]]:
    """Return by alert what became of its two headlines; nothing of alerts with one."""
    with_two = [alert for alert in alerts if alert.headline_test is not None]
    if not with_two:
        return {}
    groups = _groups(session, [alert.id for alert in with_two])
    return {
        alert.id: [
            HeadlineFigures(words.title, words.body, sent, group)
            for words, (sent, group) in zip(_words(alert), groups[alert.id], strict=True)
        ]
        for alert in with_two
    }


def _words(alert: Alert) -> list[Words]:
    first = Words(alert.title or "", alert.body or "")
    return [first, second_words(alert.headline_test, first) or first]


def choices(session: Session, alerts: Sequence[Alert]) -> dict[int, HeadlineChoice]:
    """Return by alert which headline was chosen, and why."""
    ids = [alert.id for alert in alerts if alert.headline_test is not None]
    if not ids:
        return {}
    rows = session.execute(
        text("SELECT alert_id, headline, reason FROM headline_choice WHERE alert_id = ANY(:ids)"),
        {"ids": ids},
    )
    return {row.alert_id: HeadlineChoice(row.headline, row.reason) for row in rows}
