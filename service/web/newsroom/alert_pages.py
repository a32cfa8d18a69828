"""Alerts: their list, and one alert's live page with what can still be done about it."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from service.actions import alerts as alert_actions
from service.actions import replays
from service.domain.alert import MAX_TEXT, MAX_TITLE, Alert, Kind, Report, Words
from service.domain.errors import Forbidden, Refusal, require
from service.domain.people import Role
from service.domain.story import Story
from service.http.dependencies import Cursor, Id, WorkDep
from service.store.alerts import alerts
from service.store.deliveries import dead_letters
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.rendering import PRIVATE, query_string, render
from service.web.visitors import Editor, EditorActing

router = APIRouter(prefix="/desk/alerts")
AlertId = Annotated[Id, Path()]
PER_PAGE = 25
SHOWN_LETTERS = 20


@router.get("")
def listed(request: Request, work: WorkDep, _: Editor, cursor: Cursor = None) -> Response:
    """List all alerts, the newest first."""
    found = alerts.page(work.session, cursor, PER_PAGE)
    return render(
        request,
        "alerts.html",
        reports=found.items,
        stories=stories.many(work.session, {one.alert.story_id for one in found.items}),
        next=query_string(cursor=found.next),
    )


@router.get("/{alert_id}")
def show(request: Request, work: WorkDep, _: Editor, alert_id: AlertId) -> Response:
    """Show what became of an alert; the page goes on telling while pushes leave."""
    report = require(alerts.report(work.session, alert_id), "alert")
    alert = report.alert
    story = require(stories.get(work.session, alert.story_id), "story")
    which = dead_letters.Filter(alert_id=alert_id)
    return render(
        request,
        "alert.html",
        report=report,
        totals=report.totals.as_dict(),
        story=story,
        audience=_audience(work, story, alert),
        letters=dead_letters.page(work.session, which, None, SHOWN_LETTERS).items,
        chain=alerts.chain(work.session, alert.root_id),
        rate=_rate(report),
        intent=secrets.token_urlsafe(16),
    )


def _audience(work: UnitOfWork, story: Story, alert: Alert) -> str:
    if alert.kind is Kind.TEST:
        return "The sender's own devices"
    if alert.source_alert_id is not None:
        return "Who got the first alert"
    if alert.everyone:
        return "Everyone"
    paths = story.text.topics if alert.topics is None else alert.topics
    known = topics.by_paths(work.session, paths)
    names = ", ".join(known[path].label if path in known else path for path in paths)
    if alert.topics is not None:
        return f"Followers of {names}"
    return f"Followers of {names} and of the story" if names else "Followers of the story"


def _rate(report: Report) -> int | None:
    """Return the average of accepted pushes a second, from the first to the last."""
    first, last = report.timing.first_ms, report.timing.last_ms
    if first is None or last is None:
        return None
    return round(report.totals.accepted / max((last - first) / 1000, 1.0))


@router.post("/{alert_id}/stop")
def stop(request: Request, work: WorkDep, caller: EditorActing, alert_id: AlertId) -> Response:
    """Stop an alert at once."""
    alert_actions.stop(work, alert_id, caller)
    return _done(request, alert_id, "Stopped. The totals settle within a second or so.")


@router.post("/{alert_id}/withdraw")
def withdraw(
    request: Request,
    work: WorkDep,
    caller: EditorActing,
    alert_id: AlertId,
    title: Annotated[str, Form(max_length=MAX_TITLE)],
    body: Annotated[str, Form(max_length=MAX_TEXT)],
) -> Response:
    """Stop an alert and replace it where it arrived."""
    try:
        replacing = alert_actions.withdraw(
            work, alert_id, Words(title.strip(), body.strip()), caller
        )
    except Refusal as refusal:
        return _done(request, alert_id, f"Not withdrawn: {refusal.detail}")
    return _done(request, replacing.id, "The alert is being replaced where it arrived.")


@router.post("/{alert_id}/replay")
def replay(
    request: Request, work: WorkDep, staff: Editor, caller: EditorActing, alert_id: AlertId
) -> Response:
    """Push again what was given up."""
    if staff.role is not Role.ADMIN:
        raise Forbidden("Ask an admin to try the given-up ones again.")
    devices = replays.replay_alert(work, alert_id, caller)
    return _done(request, alert_id, f"{devices:,} devices are tried again.")


def _done(request: Request, alert_id: int, sentence: str) -> Response:
    url = f"/desk/alerts/{alert_id}"
    answer = RedirectResponse(url, 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, sentence)
    return answer
