"""What people do with alerts: send, stop, correct, withdraw.

An alert is accepted once the transaction that writes its row has committed. The message that
follows only makes it start sooner than the sweep would.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from service import outbox
from service.actions.estimates import require_apps, require_topics
from service.domain.alert import (
    Alert,
    AlertState,
    Draft,
    Kind,
    Words,
)
from service.domain.drafts.draft_checks import (
    check_draft,
    check_headlines,
    check_spread,
    check_words,
)
from service.domain.errors import Conflict, require
from service.domain.new_alerts import Origin, new_first_alert, new_update, new_withdrawal
from service.domain.people import Caller
from service.domain.story import Story, why_not_pushable
from service.domain.subscription import Urgency
from service.store.alerts import alert_transitions, alerts
from service.store.schema import new_id
from service.store.staff import audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork


def send_alert(work: UnitOfWork, story_id: int, draft: Draft, caller: Caller) -> Alert:
    """Accept an alert: now, or for its `send_at`.

    A story has one first alert; a second one raises `AlreadyAlerted`, which names the first. An
    update without an audience of its own corrects the first alert and stops it. Dry runs do not
    count as first alerts.
    """
    draft = check_draft(draft, work.now)
    story = require(stories.lock(work.session, story_id), "story")
    refusal = why_not_pushable(story, draft.send_at or work.now)
    if refusal is not None:
        raise Conflict(refusal)
    draft = _within_expiry(draft, story, work.now)
    check_spread(draft)
    check_headlines(draft)
    require_topics(work, draft)
    require_apps(work, draft)
    root = _corrected_root(work, story_id, draft)
    if root is not None and root.unbegun and draft.send_at is None:
        draft, root = _take_place_of(work, root, draft), None
    origin = _origin(work, story_id, caller)
    story_words = Words(story.text.headline, story.text.summary)
    if draft.update:
        alert = new_update(origin, _at_pace_of(root, draft), story_words, root.id if root else None)
    else:
        alert = new_first_alert(origin, draft, story_words)
    alerts.add(work.session, alert)
    _start(work, alert)
    _record_sending(work, alert, caller)
    return alert


def _record_sending(work: UnitOfWork, alert: Alert, caller: Caller) -> None:
    audit.write(
        work.session,
        caller.name,
        "send",
        f"alert:{alert.id}",
        story=str(alert.story_id),
        kind=alert.kind.value,
        urgency=alert.urgency.value,
        dry_run=alert.dry_run,
        send_at=alert.send_at and alert.send_at.isoformat(),
        spread_seconds=int(alert.spread.total_seconds()),
        local_time=alert.local_release and alert.local_release.to_json(),
        second_headline=alert.headline_test and alert.headline_test.title,
    )


def withdraw(work: UnitOfWork, alert_id: int, words: Words, caller: Caller) -> Alert:
    """Stop an alert with its corrections, and replace it silently where it arrived.

    The withdrawal gets the alert's TTL, so that a device that was off does not show the alert
    without its withdrawal. The story may be in any state: a retracted story needs it most.
    """
    check_words(words)
    alert = lock_with_story(work, alert_id)
    refusal = _why_not_withdrawable(alert)
    if refusal is not None:
        raise Conflict(refusal)
    withdrawal = new_withdrawal(_origin(work, alert.story_id, caller), alert, words)
    alerts.add(work.session, withdrawal)
    _start(work, withdrawal)
    audit.write(
        work.session,
        caller.name,
        "withdraw",
        f"alert:{alert_id}",
        replaced_by=str(withdrawal.id),
    )
    return withdrawal


def stop(work: UnitOfWork, alert_id: int, caller: Caller, reason: str | None = None) -> Alert:
    """Stop a scheduled or running alert at once; one that has ended stays as it is."""
    alert = _lock(work, alert_id)
    if alert.state.final:
        return alert
    why = reason or f"stopped by {caller.label}"
    alert_transitions.stop(work.session, alert, why, work.now)
    audit.write(work.session, caller.name, "stop", f"alert:{alert_id}", reason=why)
    return require(alerts.get(work.session, alert_id), "alert")


def stop_alerts_of(work: UnitOfWork, story_id: int, caller: Caller, reason: str) -> list[Alert]:
    """Stop the story's scheduled and running alerts, but not withdrawals: they take news back."""
    return [
        stop(work, alert_id, caller, reason)
        for alert_id in sorted(alerts.stoppable(work.session, story_id))
    ]


def stop_running_alerts_of(
    work: UnitOfWork, story_id: int, caller: Caller, reason: str
) -> list[Alert]:
    """Stop the story's running alerts; those that are scheduled are judged when they are due."""
    return [
        stop(work, alert.id, caller, reason)
        for alert in alerts.lock(work.session, sorted(alerts.stoppable(work.session, story_id)))
        if alert.state is not AlertState.SCHEDULED
    ]


def lock_with_story(work: UnitOfWork, alert_id: int) -> Alert:
    """Lock an alert's story, then the alert; returns the alert.

    A retraction or a correction, which lock the story too, come wholly before or wholly after.
    """
    alert = require(alerts.get(work.session, alert_id), "alert")
    stories.lock(work.session, alert.story_id)
    return _lock(work, alert_id)


def _lock(work: UnitOfWork, alert_id: int) -> Alert:
    return require(next(iter(alerts.lock(work.session, [alert_id])), None), "alert")


def _start(work: UnitOfWork, alert: Alert) -> None:
    """Let an alert that is due now replace what it corrects, and ask for its plan."""
    if alert.state is not AlertState.PLANNING:
        return
    alert_transitions.stop_replaced_alerts(work.session, alert, work.now)
    work.outbox.add(outbox.plan_alert(alert.id, alert.queue))


def _within_expiry(draft: Draft, story: Story, now: datetime) -> Draft:
    """Let an alert live no longer than its story: nothing is pushed after the story expires."""
    if story.text.expires_at is None:
        return draft
    rest = story.text.expires_at - (draft.send_at or now)
    whole_seconds = timedelta(seconds=max(1, int(rest.total_seconds())))
    ttl = draft.ttl if draft.local_release else min(draft.ttl, whole_seconds)
    return replace(draft, ttl=ttl, ends_by=story.text.expires_at)


def _origin(work: UnitOfWork, story_id: int, caller: Caller) -> Origin:
    """Return what a new alert of this story records, with a new id."""
    return Origin(
        alert_id=new_id(), story_id=story_id, created_by=caller.label, created_at=work.now
    )


def _why_not_withdrawable(alert: Alert) -> str | None:
    if alert.kind is Kind.TEST:
        return "This was a test: no reader has it."
    if alert.kind is Kind.DIGEST:
        return "This tells what quiet hours kept away: withdraw the alerts in it."
    if alert.dry_run:
        return "This was a dry run: it is on no device."
    if alert.state is AlertState.SCHEDULED:
        return "This alert has not left yet: stop it instead."
    return None


def _corrected_root(work: UnitOfWork, story_id: int, draft: Draft) -> Alert | None:
    """Return the first alert of the chain that a correction continues; None for other drafts."""
    if not draft.update:
        return None
    root = alerts.root_of_story(work.session, story_id, lock=True)
    if root is None:
        raise Conflict("This story has no alert yet that could be updated: leave update out.")
    if root.state is AlertState.SCHEDULED and draft.corrects:
        raise Conflict(
            "The first alert has not left yet: change it on its own page, or stop it and send "
            "another."
        )
    return root if draft.corrects else None


def _at_pace_of(root: Alert | None, draft: Draft) -> Draft:
    """Let a correction leave when its root does: whom that has not reached waits as before.

    A breaking one leaves at once.
    """
    if root is None or draft.urgency is Urgency.BREAKING:
        return draft
    return replace(draft, spread=root.spread, local_release=root.local_release)


def _take_place_of(work: UnitOfWork, root: Alert, draft: Draft) -> Draft:
    """Let a correction take the place of a first alert whose planning has not begun.

    No delivery is written yet, so the correction goes to the whole audience of the first alert.
    """
    if not draft.dry_run:
        alert_transitions.stop_unstarted(work.session, root, "corrected before it left", work.now)
    return replace(
        _at_pace_of(root, draft), update=False, topics=root.topics, everyone=root.everyone
    )
