"""What people do with an alert that has not left yet: move it, edit it, let it leave, undo it."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from service.actions import alerts as alert_actions
from service.domain.alert import FARTHEST_SEND, Alert, AlertState, Words
from service.domain.drafts.draft_checks import check_words
from service.domain.errors import Conflict, Invalid, require
from service.domain.new_alerts import last_deadline
from service.domain.pace.local_release import LONGEST_DAY, LocalRelease
from service.domain.people import Caller
from service.domain.story import why_not_pushable
from service.store.alerts import alerts, schedules
from service.store.staff import audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a scheduled alert says and when it leaves; a title or text of None is the story's.

    Of an alert with a local time its `day` counts, of any other its `send_at`.
    """

    title: str | None
    body: str | None
    send_at: datetime | None = None
    day: date | None = None


def change_schedule(work: UnitOfWork, alert_id: int, schedule: Schedule, caller: Caller) -> Alert:
    """Move and edit an alert that has not left; raises `Conflict` when it has.

    Its lifetime stays, counted from the new time.
    """
    alert = _lock_scheduled(work, alert_id)
    check_words(Words(schedule.title or "-", schedule.body or ""))
    send_at, local_release = _new_start(alert, schedule, work.now)
    if send_at > work.now + FARTHEST_SEND:
        raise Invalid("send_at", f"At most {FARTHEST_SEND.days} days ahead.")
    words = (schedule.title, schedule.body)
    return _reschedule(work, alert, words, send_at, local_release, caller)


def _new_start(
    alert: Alert, schedule: Schedule, now: datetime
) -> tuple[datetime, LocalRelease | None]:
    """Return when the alert starts by its new schedule, and its local time, if it has one."""
    local = alert.local_release
    if local is not None and schedule.day is not None:
        local = replace(local, day=schedule.day)
        first = local.first_moment_of_day(schedule.day)
        if first + LONGEST_DAY <= now:
            raise Invalid("day", "That day is over: choose a later one, or send it now.")
        return max(first, now), local
    if schedule.send_at is None:
        raise Invalid("send_at", "Say when it is to leave.")
    if schedule.send_at <= now and schedule.send_at != alert.send_at:
        raise Invalid("send_at", "That time has passed: choose a later one, or send it now.")
    return schedule.send_at, local


def send_now(work: UnitOfWork, alert_id: int, caller: Caller) -> Alert:
    """Let a scheduled alert leave now, everywhere; the sweep starts it in a second."""
    alert = _lock_scheduled(work, alert_id)
    return _reschedule(work, alert, (alert.title, alert.body), work.now, None, caller)


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


def _reschedule(
    work: UnitOfWork,
    alert: Alert,
    words: tuple[str | None, str | None],
    send_at: datetime,
    local_release: LocalRelease | None,
    caller: Caller,
) -> Alert:
    story = require(stories.get(work.session, alert.story_id), "story")
    refusal = why_not_pushable(story, send_at)
    if refusal is not None:
        raise Conflict(refusal)
    deadline = last_deadline(local_release, send_at, alert.ttl, story.text.expires_at)
    local = local_release.to_json() if local_release else None
    schedules.reschedule(work.session, alert.id, words, send_at, deadline, local)
    audit.write(
        work.session,
        caller.name,
        "reschedule",
        f"alert:{alert.id}",
        send_at=send_at.isoformat(),
        before=alert.send_at and alert.send_at.isoformat(),
        local_time=local,
        title=words[0],
        by=caller.label,
    )
    return require(alerts.get(work.session, alert.id), "alert")
