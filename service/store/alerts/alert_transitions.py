"""Every change of an alert's state, and of the columns that belong to it, is written here alone.

    from                    to         by
    ----------------------  ---------  ----------------------------------------------------------
    (new, has a send_at)    SCHEDULED  `alerts.add`
    (new)                   PLANNING   `alerts.add`
    SCHEDULED               PLANNING   `start_scheduled`: its time has come and its page answers
    PLANNING                SENDING    `begin_sending`: its first shard has become batches
    PLANNING, SENDING       FINISHED   `finish_if_done`: nothing of it is open
    PLANNING, SENDING       EXPIRED    `finish_if_done`: the same, and the deadline came before
                                       any push was accepted or given up
    SCHEDULED, PLANNING     EXPIRED    `expire_unstarted`: the deadline came before the plan
    SCHEDULED               STOPPED    `refuse_start`, `stop`
    PLANNING, SENDING       STOPPED    `stop`, `stop_unstarted`, `stop_replaced_alerts`
    FINISHED, EXPIRED       SENDING    `reopen`: its dead letters are replayed

                 start_scheduled           begin_sending          finish_if_done
    SCHEDULED -------------------> PLANNING ------------> SENDING ----------------> FINISHED
        |  |                         |  |                  |  | ^                   (EXPIRED)
        |  +----> EXPIRED <----------+  |                  |  | |                       |
        |     expire_unstarted          | stop             |  | +------- reopen --------+
        +-----------------------------> STOPPED <----------+
          refuse_start, stop                       stop

`started_at` says that a planning alert has been planned: `freeze` sets it, once.
`settled` says that nothing of the alert is open and its totals are final. A stopped alert settles
when its batches do (`finish_if_done`); one that was never planned settles at once.
`void` says that a first alert has given its story's place up (`free_story_if_nothing_accepted`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Alert, AlertState, Kind
from service.domain.delivery import State
from service.store.alerts import alert_totals, alerts
from service.store.session import database_now
from service.store.sql_fragments import (
    alert_has_not_ended,
    count_of,
    has_open_batch,
    has_open_shard,
)
from service.store.stories import stories

_START_SCHEDULED = """
UPDATE alert SET state = 'planning', wait_reason = NULL, page_refusals = 0
WHERE id = :alert_id AND state = 'scheduled' RETURNING id
"""


def start_scheduled(session: Session, alert_id: int) -> bool:
    """Turn a scheduled alert into one that is being planned; False when it is not scheduled.

    The story is locked first, as by everybody who decides on its alerts: a retraction comes
    wholly before this or wholly after. A correction stops what it replaces now, not before.
    """
    alert = alerts.get(session, alert_id)
    if alert is None:
        return False
    stories.lock(session, alert.story_id)
    row = session.execute(text(_START_SCHEDULED), {"alert_id": alert_id}).one_or_none()
    if row is None:
        return False
    stop_replaced_alerts(session, alert, database_now(session))
    return True


_REFUSE_START = """
UPDATE alert SET state = 'stopped', stop_reason = :reason, settled = true, finished_at = now(),
    void = (kind = 'first')
WHERE id = :alert_id AND state = 'scheduled'
"""


def refuse_start(session: Session, alert_id: int, reason: str) -> None:
    """Stop a scheduled alert that must not start; it gives its story's place up."""
    session.execute(text(_REFUSE_START), {"alert_id": alert_id, "reason": reason})


_POSTPONE_PAGE_CHECK = """
UPDATE alert SET page_due_at = now() + make_interval(secs => :seconds), wait_reason = :reason,
    page_refusals = page_refusals + 1
WHERE id = :alert_id RETURNING page_refusals
"""


def postpone_page_check(session: Session, alert_id: int, seconds: float, reason: str) -> int:
    """Look for a scheduled alert's story again after a while; returns how often it was refused."""
    values = {"alert_id": alert_id, "seconds": seconds, "reason": reason}
    refusals: int = session.execute(text(_POSTPONE_PAGE_CHECK), values).scalar_one()
    return refusals


_FREEZE = """
UPDATE alert a SET started_at = :at, topic_ids = :topic_ids, above = :above,
    languages = CAST(:languages AS text[]), frequency_cap = :frequency_cap, start_place = :place,
    local_release = coalesce(CAST(:local_release AS jsonb), local_release),
    title = coalesce(a.title, s.headline), body = coalesce(a.body, s.summary)
FROM story s WHERE a.id = :alert_id AND s.id = a.story_id
"""


def freeze(session: Session, alert_id: int, at: datetime, recipients: Mapping[str, Any]) -> None:
    """Fix the words, the audience (`frozen_columns`) and the instant `at` that rules go by."""
    session.execute(text(_FREEZE), {"place": None, **recipients, "at": at, "alert_id": alert_id})


_BEGIN_SENDING = """
UPDATE alert SET state = 'sending' WHERE id = :alert_id AND state = 'planning'
"""


def begin_sending(session: Session, alert_id: int) -> None:
    """Turn an alert that is being planned into one that is being sent: it has a batch."""
    session.execute(text(_BEGIN_SENDING), {"alert_id": alert_id})


_STOP = """
UPDATE alert SET state = 'stopped', stop_reason = :reason WHERE id = :alert_id
"""


def stop(session: Session, alert: Alert, reason: str, now: datetime) -> None:
    """Stop a locked alert; the holders of its batches see it at their next write.

    A scheduled one ends here and gives its story's place up.
    """
    if alert.state is AlertState.SCHEDULED:
        stop_unstarted(session, alert, reason, now)
        return
    session.execute(text(_STOP), {"alert_id": alert.id, "reason": reason})


_STOP_UNSTARTED = """
UPDATE alert SET state = 'stopped', stop_reason = :reason, finished_at = :now, settled = true,
    void = :void
WHERE id = :alert_id
"""


def stop_unstarted(session: Session, alert: Alert, reason: str, now: datetime) -> None:
    """End a locked alert that nobody has begun to plan, and free its story's place."""
    values = {"reason": reason, "now": now, "void": alert.kind is Kind.FIRST}
    session.execute(text(_STOP_UNSTARTED), values | {"alert_id": alert.id})


_TAKE_OVER = "UPDATE alert SET takes_over = :takes_over WHERE id = :alert_id"


def stop_replaced_alerts(session: Session, alert: Alert, now: datetime) -> None:
    """Stop what this correction or withdrawal replaces: to be called when it starts.

    A dry run stops nothing. A withdrawal stops its chain. A correction stops whatever of its
    story is still leaving, or an older text could arrive after the newer one, and takes over
    whom its root had not reached.
    """
    root_id = alert.source_alert_id
    if root_id is None:
        return
    corrects = alert.kind is Kind.UPDATE
    others = alerts.lock_replaced(session, alert, root_id)
    if not alert.dry_run:
        verb = "corrected" if corrects else "withdrawn"
        for other in others:
            stop(session, other, f"{verb} by {alert.id}", now)
    if corrects:
        midway = any(other.id == root_id for other in others)
        chain = alerts.chain(session, root_id)
        takes_over = midway or any(member.takes_over for member in chain)
        values = {"alert_id": alert.id, "takes_over": takes_over}
        session.execute(text(_TAKE_OVER), values)


_LOCK_OVERDUE = f"""
SELECT 1 FROM alert
WHERE id = :alert_id AND {alert_has_not_ended()} AND expires_at <= now()
FOR NO KEY UPDATE SKIP LOCKED
"""


def lock_overdue(session: Session, alert_id: int) -> bool:
    """Lock an alert whose deadline has passed; False when a replay gave it another, or it ended.

    False too while somebody else holds it: the sweep comes again in a second.
    """
    return session.execute(text(_LOCK_OVERDUE), {"alert_id": alert_id}).one_or_none() is not None


_EXPIRE_UNSTARTED = """
UPDATE alert SET state = 'expired', finished_at = now(), settled = true,
    stop_reason = coalesce(stop_reason, wait_reason)
WHERE id = :alert_id AND state IN ('scheduled', 'planning') AND started_at IS NULL
"""


def expire_unstarted(session: Session, alert_id: int) -> None:
    """End an alert whose deadline passed before it was planned."""
    session.execute(text(_EXPIRE_UNSTARTED), {"alert_id": alert_id})
    free_story_if_nothing_accepted(session, alert_id)


_SETTLE_UNSTARTED = """
UPDATE alert SET settled = true, finished_at = coalesce(finished_at, now())
WHERE id IN (SELECT id FROM alert WHERE id = :alert_id AND state = 'stopped'
    AND started_at IS NULL FOR NO KEY UPDATE SKIP LOCKED) RETURNING id
"""


def settle_unstarted(session: Session, alert_id: int) -> None:
    """Settle a stopped alert that was never planned: it has nothing to account for."""
    if session.execute(text(_SETTLE_UNSTARTED), {"alert_id": alert_id}).one_or_none() is not None:
        free_story_if_nothing_accepted(session, alert_id)


_NOTE_REJECTION = """
UPDATE alert SET rejected_by = array_append(rejected_by, :provider)
WHERE id = :alert_id AND NOT :provider = ANY(rejected_by)
"""


def note_rejection(session: Session, alert_id: int, provider: str) -> None:
    """Note that a provider rejected the alert itself: it ends there and goes on elsewhere."""
    session.execute(text(_NOTE_REJECTION), {"alert_id": alert_id, "provider": provider})


_LOCK = "SELECT state, started_at, settled FROM alert WHERE id = :alert_id FOR NO KEY UPDATE"
_IS_OPEN = f"SELECT {has_open_shard(':alert_id')} OR {has_open_batch(':alert_id')}"
_EXPIRED_IN_VAIN = f"""
SELECT coalesce(
    bool_or({count_of(State.EXPIRED)} > 0)
    AND NOT bool_or({count_of(State.ACCEPTED)} + {count_of(State.BURIED)} > 0), false)
FROM batch WHERE alert_id = :alert_id
"""
_FINISH = """
UPDATE alert SET state = :state, finished_at = coalesce(finished_at, now()), settled = true
WHERE id = :alert_id
"""


def finish_if_done(session: Session, alert_id: int) -> bool:
    """End an alert when nothing of it is open. Call it in a NEW transaction after a settle.

    In the settling one, two workers with the last two batches would each see the other's as open,
    for ever. The row is locked first and looked at second: a replay that opens batches again in
    the same moment comes wholly before and is seen, or wholly after; else its alert would be
    called finished with deliveries that nobody sends.
    """
    values = {"alert_id": alert_id}
    row = session.execute(text(_LOCK), values).one_or_none()
    if row is None or row.settled or row.state == AlertState.SCHEDULED or row.started_at is None:
        return False
    if session.execute(text(_IS_OPEN), values).scalar_one():
        return False
    state = AlertState(row.state)
    if state.running:
        expired = session.execute(text(_EXPIRED_IN_VAIN), values).scalar_one()
        state = AlertState.EXPIRED if expired else AlertState.FINISHED
    session.execute(text(_FINISH), values | {"state": state.value})
    free_story_if_nothing_accepted(session, alert_id)
    return True


_REOPEN = """
UPDATE alert SET state = 'sending', expires_at = :expires_at, finished_at = NULL, settled = false,
    rejected_by = ARRAY(SELECT unnest(rejected_by) EXCEPT SELECT unnest(CAST(:p AS text[])))
WHERE id = :alert_id
"""


def reopen(session: Session, alert: Alert, expires_at: datetime, providers: Sequence[str]) -> None:
    """Return a locked alert to sending, also through the providers that had rejected it."""
    values = {"alert_id": alert.id, "expires_at": expires_at, "p": list(providers)}
    session.execute(text(_REOPEN), values)


_VOID = "UPDATE alert SET void = true WHERE id = :alert_id"


def free_story_if_nothing_accepted(session: Session, alert_id: int) -> bool:
    """Give up the story's place when a whole chain was stopped or expired with nothing accepted.

    A push without an answer may be on a screen, so that its chain keeps the place. `alert_id` is
    any member of the chain; call it when that one's totals have settled.
    """
    alert = alerts.get(session, alert_id)
    root = alerts.get(session, alert.root_id) if alert else None
    if root is None or root.kind is not Kind.FIRST or root.state is AlertState.FINISHED:
        return False
    members = alerts.chain(session, root.id)
    if not all(member.state.final for member in members):
        return False
    if alert_totals.may_have_arrived(session, [member.id for member in members]):
        return False
    session.execute(text(_VOID), {"alert_id": root.id})
    return True
