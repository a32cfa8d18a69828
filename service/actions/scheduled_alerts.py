"""What people do with an alert that has not left yet: move it, edit it, let it leave, undo it."""

from dataclasses import dataclass
from datetime import datetime

from service.actions import alerts as alert_actions
from service.domain.alert import FARTHEST_SEND, Alert, AlertState, Words, check_words
from service.domain.errors import Conflict, Invalid, require
from service.domain.people import Caller
from service.domain.story import why_not_pushable
from service.store.alerts import alerts, schedules
from service.store.staff import audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a scheduled alert says and when it leaves; a title or text of None is the story's."""

    title: str | None
    body: str | None
    send_at: datetime


def change_schedule(work: UnitOfWork, alert_id: int, schedule: Schedule, caller: Caller) -> Alert:
    """Move and edit an alert that has not left; raises `Conflict` when it has.

    Its lifetime stays, counted from the new time.
    """
    alert = _lock_scheduled(work, alert_id)
    check_words(Words(schedule.title or "-", schedule.body or ""))
    if schedule.send_at <= work.now and schedule.send_at != alert.send_at:
        raise Invalid("send_at", "That time has passed: choose a later one, or send it now.")
    if schedule.send_at > work.now + FARTHEST_SEND:
        raise Invalid("send_at", f"At most {FARTHEST_SEND.days} days ahead.")
    return _reschedule(work, alert, schedule, caller)


def send_now(work: UnitOfWork, alert_id: int, caller: Caller) -> Alert:
    """Let a scheduled alert leave now instead of at its time; the sweep starts it in a second."""
    alert = _lock_scheduled(work, alert_id)
    return _reschedule(
        work, alert, Schedule(title=alert.title, body=alert.body, send_at=work.now), caller
    )


def undo(work: UnitOfWork, alert_id: int, caller: Caller) -> bool:
    """Take back an alert that was just sent; returns whether it reached nobody.

    Too late, it is stopped: who has it keeps it.
    """
    alert = alert_actions.lock_with_story(work, alert_id)
    in_time = alert.state is AlertState.SCHEDULED
    alert_actions.stop(work, alert_id, caller, f"undone by {caller.label}")
    return in_time


def _lock_scheduled(work: UnitOfWork, alert_id: int) -> Alert:
    alert = alert_actions.lock_with_story(work, alert_id)
    if alert.state is not AlertState.SCHEDULED:
        raise Conflict("This alert has left or ended: it can be corrected, not moved.")
    return alert


def _reschedule(work: UnitOfWork, alert: Alert, schedule: Schedule, caller: Caller) -> Alert:
    story = require(stories.get(work.session, alert.story_id), "story")
    refusal = why_not_pushable(story, schedule.send_at)
    if refusal is not None:
        raise Conflict(refusal)
    deadline = schedule.send_at + alert.ttl
    if story.text.expires_at is not None:
        deadline = min(deadline, story.text.expires_at)
    words = (schedule.title, schedule.body)
    schedules.reschedule(work.session, alert.id, words, schedule.send_at, deadline)
    audit.write(
        work.session,
        caller.name,
        "reschedule",
        f"alert:{alert.id}",
        send_at=schedule.send_at.isoformat(),
        before=alert.send_at and alert.send_at.isoformat(),
        title=schedule.title,
        by=caller.label,
    )
    return require(alerts.get(work.session, alert.id), "alert")
