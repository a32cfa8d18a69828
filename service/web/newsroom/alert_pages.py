"""The live page of an alert: its progress, its result, and what can still be done about it."""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import Form, Path, Request, Response

from service.actions import alerts as alert_actions
from service.actions import replays, scheduled_alerts
from service.actions.providers import ProviderState, ProviderStatus, list_providers
from service.actions.scheduled_alerts import Schedule
from service.domain.alert import MAX_TEXT, MAX_TITLE, Alert, Kind, Report, Words
from service.domain.errors import Refusal, require
from service.domain.story import Story
from service.http.api_document import Router
from service.http.dependencies import Id, SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import alerts
from service.store.deliveries import dead_letters
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork
from service.web.newsroom.left_out import describe_left_out
from service.web.newsroom.push_time import (
    describe_next,
    describe_release,
    parse_day,
    parse_local_time,
)
from service.web.newsroom.reports.alert_results import describe_result
from service.web.rendering import redirect, render
from service.web.visitors import Editor, EditorActing

router = Router(prefix="/desk/alerts", in_document=False)
AlertId = Annotated[Id, Path()]
MAX_LETTERS = 20


@router.get("/{alert_id}")
def show(
    request: Request, work: WorkDep, settings: SettingsDep, _: Editor, alert_id: AlertId
) -> Response:
    """Show an alert's progress and results. The page updates itself while pushes leave."""
    report = require(alerts.report(work.session, alert_id), "alert")
    alert = report.alert
    story = require(stories.get(work.session, alert.story_id), "story")
    query = dead_letters.Filter(alert_id=alert_id)
    return render(
        request,
        "alert.html",
        report=report,
        totals=report.totals.as_dict(),
        story=story,
        audience=_describe_audience(work, story, alert),
        left_out=describe_left_out(report.left_out, (story.text.language, *alert.locales)),
        letters=dead_letters.page(work.session, query, None, MAX_LETTERS).items,
        chain=alerts.chain(work.session, alert.root_id),
        rate=_average_rate(report),
        intent=secrets.token_urlsafe(16),
        troubled=_troubled_providers(work, settings, report),
        local_words=describe_release(alert.local_release) if alert.local_release else "",
        next_words=_describe_next(report, work.now),
        **describe_result(work, alert),
    )


def _describe_next(report: Report, now: datetime) -> str:
    """Say where an alert with a local time leaves next; empty for others."""
    local, alert = report.alert.local_release, report.alert
    if local is None or alert.started_at is None or alert.state.final:
        return ""
    return describe_next(local, report.releases, now)


def _troubled_providers(
    work: UnitOfWork, settings: Settings, report: Report
) -> list[ProviderStatus]:
    """Return the providers that keep deliveries of this alert waiting, with how many of them."""
    waiting = {name: totals.open for name, totals in report.by_app.items() if totals.open}
    if not waiting or report.alert.state.final:
        return []
    return [
        replace(one, waiting=waiting[one.name])
        for one in list_providers(work, settings)
        if one.name in waiting and one.state is not ProviderState.IN_USE
    ]


def _describe_audience(work: UnitOfWork, story: Story, alert: Alert) -> str:
    if alert.kind is Kind.TEST:
        return "The sender's own devices"
    if alert.source_alert_id is not None:
        return "Everyone who got the first alert"
    if alert.everyone:
        return "Everyone"
    paths = story.text.topics if alert.topics is None else alert.topics
    topics_by_path = topics.by_paths(work.session, paths)
    names = ", ".join(
        topics_by_path[path].label if path in topics_by_path else path for path in paths
    )
    if alert.topics is not None:
        return f"Followers of {names}"
    return f"Followers of {names} and of the story" if names else "Followers of the story"


def _average_rate(report: Report) -> int | None:
    """Return the accepted pushes per second, on average from the first to the last."""
    first, last = report.timing.first_ms, report.timing.last_ms
    if first is None or last is None:
        return None
    return round(report.totals.accepted / max((last - first) / 1000, 1.0))


@router.post("/{alert_id}/stop")
def stop(request: Request, work: WorkDep, caller: EditorActing, alert_id: AlertId) -> Response:
    """Stop an alert at once."""
    alert_actions.stop(work, alert_id, caller)
    return _done(request, alert_id, "Stopped. The totals settle within a second or so.")


@router.post("/{alert_id}/undo")
def undo(request: Request, work: WorkDep, caller: EditorActing, alert_id: AlertId) -> Response:
    """Take an alert back that was just sent, and return to its form."""
    in_time = scheduled_alerts.undo(work, alert_id, caller)
    if not in_time:
        return _done(request, alert_id, "It had left already, so it was stopped. Some may have it.")
    alert = require(alerts.get(work.session, alert_id), "alert")
    form = f"/desk/stories/{alert.story_id}/push?undone={alert_id}"
    return redirect(request, form, "Undone: nobody got it. Your words are still here.")


@router.post("/{alert_id}/schedule")
def change_schedule(
    request: Request,
    work: WorkDep,
    caller: EditorActing,
    alert_id: AlertId,
    title: Annotated[str, Form(max_length=MAX_TITLE)] = "",
    body: Annotated[str, Form(max_length=MAX_TEXT)] = "",
    send_at: Annotated[str, Form(max_length=40)] = "",
    day: Annotated[str, Form(max_length=10)] = "",
    zone: Annotated[str, Form(max_length=64)] = "UTC",
    now: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Move and edit an alert that has not left yet, or let it leave now."""
    try:
        if now:
            scheduled_alerts.send_now(work, alert_id, caller)
            return _done(request, alert_id, "It leaves now.")
        schedule = Schedule(
            title=title.strip() or None,
            body=body.strip() or None,
            send_at=parse_local_time(send_at, zone) if send_at or not day else None,
            day=parse_day(day),
        )
        scheduled_alerts.change_schedule(work, alert_id, schedule, caller)
    except Refusal as refusal:
        return _done(request, alert_id, f"Not changed: {refusal.detail}")
    return _done(request, alert_id, "Changed.")


@router.post("/{alert_id}/continue")
def go_on(request: Request, work: WorkDep, caller: EditorActing, alert_id: AlertId) -> Response:
    """Let an alert of a restored backup go on."""
    replays.continue_alert(work, alert_id, caller)
    return _done(request, alert_id, "It goes on with what was open.")


@router.post("/{alert_id}/withdraw")
def withdraw(
    request: Request,
    work: WorkDep,
    caller: EditorActing,
    alert_id: AlertId,
    title: Annotated[str, Form(max_length=MAX_TITLE)],
    body: Annotated[str, Form(max_length=MAX_TEXT)],
) -> Response:
    """Withdraw an alert: stop it, and replace it on the devices that have it."""
    try:
        replacement = alert_actions.withdraw(
            work, alert_id, Words(title.strip(), body.strip()), caller
        )
    except Refusal as refusal:
        return _done(request, alert_id, f"Not withdrawn: {refusal.detail}")
    return _done(
        request, replacement.id, "The alert is being replaced on the devices that have it."
    )


@router.post("/{alert_id}/replay")
def replay(request: Request, work: WorkDep, caller: EditorActing, alert_id: AlertId) -> Response:
    """Push the buried deliveries again, as an editor's key may."""
    devices = replays.replay_alert(work, alert_id, caller)
    return _done(request, alert_id, f"{devices:,} devices are being tried again.")


def _done(request: Request, alert_id: int, sentence: str) -> Response:
    return redirect(request, f"/desk/alerts/{alert_id}", sentence)
