"""What is the reader's own: topics to follow, the devices, quiet hours, being forgotten.

These addresses alone receive the reader's cookie. Every form works without a script; scripts send
the same forms and ask for JSON.
"""

from datetime import time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from service import provider_door
from service.actions import readers as reader_actions
from service.actions import test_pushes
from service.api import readers
from service.domain import topic as topic_paths
from service.domain.errors import Invalid, Unauthenticated, require
from service.domain.people import QuietHours, Reader
from service.domain.subscription import Subscription, Urgency
from service.http.dependencies import Id, WorkDep
from service.store.readers import devices, past_alerts, subscriptions
from service.store.stories import stories
from service.unit_of_work import UnitOfWork
from service.web import form_guards, lookups
from service.web.rendering import PRIVATE, render
from service.web.visitors import (
    READER_COOKIE,
    READER_PATH,
    Editor,
    EditorActing,
    FromOurPages,
    ReaderOrNone,
    StaffOrNone,
    ensure_reader,
    remember,
)

router = APIRouter(prefix=READER_PATH)
SHOWN_TOPICS = 200
SHOWN_ALERTS = 20
MOST_AT_ONCE = 24
LONGEST_MUTE_H = 24 * 31

TopicField = Annotated[str, Form(max_length=220)]
_Back = Annotated[str | None, Form(max_length=500)]


@router.get("")
def me(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    staff: StaffOrNone,  # noqa: ARG001 - the page shows who is signed in
    back: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Show what this browser follows, has, and was sent."""
    return _me(request, work, reader, back=back)


def _me(
    request: Request,
    work: UnitOfWork,
    reader: Reader | None,
    *,
    back: str | None = None,
    faults: dict[str, str] | None = None,
    wished: dict[str, str] | None = None,
) -> Response:
    context: dict[str, Any] = {
        "reader": reader,
        "vapid_key": provider_door.vapid_public_key() or "",
    }
    context["back"] = form_guards.local_path(back, "") if back else ""
    if reader is not None:
        held = subscriptions.page(work.session, reader.id, None, SHOWN_TOPICS)
        own = devices.live(work.session, reader.id)
        context |= {
            "follows": held.items,
            "more_follows": held.next is not None,
            "labels": lookups.labels_of(work.session, [one.topic for one in held.items]),
            "devices": own,
            "alerts": past_alerts.past_alerts(
                work.session, reader.id, [d.id for d in own], work.now, SHOWN_ALERTS
            ),
            "quiet": reader.quiet_hours,
            "wished": wished or {"timezone": reader.timezone, "language": reader.language},
            "faults": faults or {},
        }
    return render(request, "me.html", status=422 if faults else 200, **context)


@router.get("/state")
def state(work: WorkDep, reader: ReaderOrNone) -> Response:
    """Return what the follow buttons of a page need to know."""
    follows: list[str] = []
    if reader is not None:
        held = subscriptions.page(work.session, reader.id, None, reader_actions.MAX_SUBSCRIPTIONS)
        follows = [one.topic for one in held.items]
    return _json({"reader": reader is not None, "follows": follows})


@router.post("/follow", dependencies=[FromOurPages])
def follow(
    request: Request,
    work: WorkDep,
    known: ReaderOrNone,
    topic: Annotated[list[str], Form(max_length=MOST_AT_ONCE)],
    back: _Back = None,
) -> Response:
    """Follow topics, as nobody yet or as the reader this browser is."""
    reader, token = ensure_reader(request, work, known)
    for path in topic:
        _follow_again(work, reader, path)
    answer = _done(request, "You follow it now.", back)
    remember(request, answer, token)
    return answer


def _follow_again(work: UnitOfWork, reader: Reader, path: str) -> None:
    """Follow, keeping the terms of whoever follows already."""
    if subscriptions.get(work.session, reader.id, path) is None:
        reader_actions.follow(work, reader, path)


@router.post("/unfollow", dependencies=[FromOurPages])
def unfollow(
    request: Request, work: WorkDep, reader: ReaderOrNone, topic: TopicField, back: _Back = None
) -> Response:
    """Stop following a topic."""
    reader_actions.unfollow(work, _known(reader), topic)
    return _done(request, "You no longer follow it.", back)


@router.post("/mute", dependencies=[FromOurPages])
def mute(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    story: Annotated[Id, Form()],
    hours: Annotated[int, Form(ge=1, le=LONGEST_MUTE_H)] = 24,
) -> Response:
    """Mute for a while what brought an alert of this story: the action on the alert itself.

    That is every topic by which the reader is in the story's audience; the story's own where
    there is none, because the alert went to everyone.
    """
    current = _known(reader)
    found = require(stories.get(work.session, story), "story")
    own = topic_paths.story_topic(found.id)
    brought_by = [*topic_paths.with_ancestors(found.text.topics), own]
    followed = [subscriptions.get(work.session, current.id, path) for path in brought_by]
    held = [one for one in followed if one is not None] or [Subscription(topic=own)]
    until = work.now + timedelta(hours=hours)
    for one in held:
        reader_actions.follow(work, current, one.topic, one.least_urgency, until)
    return _done(request, "Muted.", None)


@router.post("/change", dependencies=[FromOurPages])
def change(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    topic: TopicField,
    least_urgency: Annotated[Urgency, Form()],
    mute_hours: Annotated[str, Form(pattern=r"^\d{0,3}$")] = "",
) -> Response:
    """Change from which urgency on a followed topic counts, and whether it is muted."""
    current = _known(reader)
    held = subscriptions.get(work.session, current.id, topic) or Subscription(topic=topic)
    until = held.muted_until
    if mute_hours:
        hours = min(int(mute_hours), LONGEST_MUTE_H)
        until = work.now + timedelta(hours=hours) if hours else None
    reader_actions.follow(work, current, topic, least_urgency, until)
    return _done(request, "Saved.", None)


@router.post("/settings", dependencies=[FromOurPages])
def settings(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    timezone: Annotated[str, Form(max_length=64)],
    language: Annotated[str, Form(max_length=40)],
    quiet_from: Annotated[str, Form(max_length=8)] = "",
    quiet_to: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Change language, time zone and quiet hours."""
    current = _known(reader)
    wished = {"timezone": timezone.strip(), "language": language.strip()}
    try:
        hours = _quiet_hours(quiet_from, quiet_to)
        changes = reader_actions.ReaderChanges(**wished, quiet_hours=hours)  # type: ignore[typeddict-item]
        reader_actions.change_reader(work, current, changes)
    except Invalid as fault:
        return _me(request, work, current, faults={fault.field: fault.detail}, wished=wished)
    return _done(request, "Saved.", None)


@router.post("/devices/{device_id}/remove", dependencies=[FromOurPages])
def remove_device(
    request: Request, work: WorkDep, reader: ReaderOrNone, device_id: Annotated[Id, Path()]
) -> Response:
    """Take out one of my devices."""
    reader_actions.remove_device(work, _known(reader), device_id)
    return _done(request, "The device is removed.", None)


@router.post("/test-pushes")
def tie(
    request: Request, work: WorkDep, reader: ReaderOrNone, staff: Editor, caller: EditorActing
) -> Response:
    """Send the tests of whoever is signed in to my devices."""
    test_pushes.tie(work, staff, _known(reader).id, caller)
    return _done(request, "Tests that you send from the desk come to these devices now.", None)


@router.post("/test-pushes/stop")
def untie(request: Request, work: WorkDep, staff: Editor, caller: EditorActing) -> Response:
    """Send those tests to no device."""
    test_pushes.untie(work, staff, caller)
    return _done(request, "These devices get no more tests.", None)


@router.get("/export")
def export(work: WorkDep, reader: ReaderOrNone) -> Response:
    """Return all that is kept of me, as a file."""
    answer = Response(media_type="application/json", headers={"Cache-Control": PRIVATE})
    answer.headers["Content-Disposition"] = 'attachment; filename="newszop-me.json"'
    answer.body = (
        readers.export_reader(work, _known(reader), answer).model_dump_json(indent=2).encode()
    )
    answer.headers["Content-Length"] = str(len(answer.body))
    return answer


@router.post("/forget", dependencies=[FromOurPages])
def forget(request: Request, work: WorkDep, reader: ReaderOrNone) -> Response:
    """Forget the reader, the devices and what they follow, for good."""
    reader_actions.erase_reader(work, _known(reader))
    answer = _done(request, "You are forgotten.", None)
    answer.delete_cookie(READER_COOKIE, path=READER_PATH)
    return answer


def _known(reader: Reader | None) -> Reader:
    if reader is None:
        raise Unauthenticated("This browser follows nothing yet.")
    return reader


def _done(request: Request, sentence: str, back: str | None) -> Response:
    """Answer a script with JSON and a form with the reader's page, which says the sentence."""
    if "application/json" in request.headers.get("accept", ""):
        return _json({"done": sentence})
    where = form_guards.local_path(back, READER_PATH) if back else READER_PATH
    target = READER_PATH if where == READER_PATH else f"{READER_PATH}?back={where}"
    answer = RedirectResponse(target, 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, sentence, path=READER_PATH)
    return answer


def _json(body: Any) -> Response:
    return JSONResponse(body, headers={"Cache-Control": PRIVATE})


def _quiet_hours(begin: str, end: str) -> QuietHours | None:
    if not begin and not end:
        return None
    try:
        return QuietHours(time.fromisoformat(begin), time.fromisoformat(end))
    except ValueError:
        raise Invalid("quiet_hours", "Give both times, as in 22:00 and 07:00.") from None
