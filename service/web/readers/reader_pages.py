"""My alerts: the reader's topics, devices and quiet hours, the export and the erasure.

Browsers send the reader's cookie to these addresses only. Every form works without a script;
scripts send the same forms and ask for JSON.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Form, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from service import provider_door
from service.actions import editor_test_pushes
from service.actions import readers as reader_actions
from service.actions.topics.topic_names import resolve_path
from service.api import readers
from service.domain import topic as topic_paths
from service.domain.errors import Unauthenticated, require
from service.domain.people import Reader
from service.domain.subscription import Subscription, Urgency
from service.http.api_document import Router
from service.http.dependencies import Id, SettingsDep, WorkDep
from service.settings import Settings
from service.store.readers import devices, missed_alerts, past_alerts, subscriptions
from service.store.stories import stories
from service.unit_of_work import UnitOfWork
from service.web import form_guards, lookups
from service.web.page_language import choose_language
from service.web.readers import settings_form
from service.web.rendering import PRIVATE, redirect, render
from service.web.visitors import (
    READER_COOKIE,
    READER_PATH,
    Editor,
    EditorActing,
    FromOurPages,
    ReaderOrNone,
    StaffOrNone,
    ensure_reader,
    set_reader_cookie,
)

router = Router(prefix=READER_PATH, in_document=False)
MAX_TOPICS_SHOWN = 200
MAX_ALERTS_SHOWN = 20
MAX_TOPICS_AT_ONCE = 24
MAX_MUTE_H = 24 * 31

TopicField = Annotated[str, Form(max_length=220)]
_ReturnPath = Annotated[str | None, Form(alias="back", max_length=500)]


@router.get("")
def show(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    staff: StaffOrNone,  # noqa: ARG001 - the page shows who is signed in
    return_path: Annotated[str | None, Query(alias="back", max_length=500)] = None,
) -> Response:
    """Show what this reader follows, the devices, and the alerts that were sent to them."""
    return show_settings(request, work, reader, return_path=return_path)


def show_settings(
    request: Request,
    work: UnitOfWork,
    reader: Reader | None,
    *,
    return_path: str | None = None,
    faults: dict[str, str] | None = None,
    form: Mapping[str, Any] | None = None,
) -> Response:
    """Show the reader's page; with `faults`, what is wrong with the `form` that was sent."""
    settings: Settings = request.app.state.settings
    context: dict[str, Any] = {
        "reader": reader,
        "page_language": choose_language(request),
        "vapid_key": provider_door.vapid_public_key() or "",
        "site_languages": lookups.site_languages(work.session),
        "sections": lookups.list_sections(work.session),
    }
    context["return_path"] = form_guards.local_path(return_path, "")
    if reader is not None:
        context |= _describe_reader(work, reader)
        context |= {
            "faults": faults or {},
            **settings_form.choices(reader, context["site_languages"], settings.frequency_cap),
            "form": form
            or settings_form.initial_values(reader, results_by_default=settings.results_by_default),
        }
    return render(request, "me.html", status=422 if faults else 200, **context)


@router.get("/missed")
def show_missed(request: Request, work: WorkDep, reader: ReaderOrNone) -> Response:
    """Show what quiet hours kept away from a reader who asked for it: where a digest leads."""
    missed = [] if reader is None else missed_alerts.missed_by(work.session, reader, work.now)
    language = choose_language(request)
    return render(request, "missed.html", reader=reader, missed=missed, page_language=language)


def _describe_reader(work: UnitOfWork, reader: Reader) -> dict[str, Any]:
    """Return what the reader follows, the devices, and the alerts that were sent to them."""
    session = work.session
    follows = subscriptions.page(session, reader.id, None, MAX_TOPICS_SHOWN)
    live_devices = devices.live(session, reader.id)
    ids = [device.id for device in live_devices]
    return {
        "follows": follows.items,
        "more_follows": follows.next is not None,
        "labels": lookups.topic_labels(
            session, [follow.topic for follow in follows.items], reader.language
        ),
        "devices": live_devices,
        "alerts": past_alerts.past_alerts(session, reader.id, ids, work.now, MAX_ALERTS_SHOWN),
    }


@router.get("/state")
def follow_state(work: WorkDep, reader: ReaderOrNone) -> Response:
    """Return what the follow buttons of a page show, and the devices that are on record."""
    follows: list[str] = []
    device_ids: list[str] = []
    if reader is not None:
        page = subscriptions.page(work.session, reader.id, None, reader_actions.MAX_SUBSCRIPTIONS)
        follows = [one.topic for one in page.items]
        device_ids = [str(one.id) for one in devices.live(work.session, reader.id)]
    languages = list(reader.languages) if reader is not None else None
    return _json(
        {
            "reader": reader is not None,
            "follows": follows,
            "devices": device_ids,
            "languages": languages,
        }
    )


@router.post("/follow", dependencies=[FromOurPages])
def follow(
    request: Request,
    work: WorkDep,
    current: ReaderOrNone,
    topic: Annotated[list[str], Form(max_length=MAX_TOPICS_AT_ONCE)],
    return_path: _ReturnPath = None,
) -> Response:
    """Follow topics. A browser without a reader gets one."""
    reader, token = ensure_reader(request, work, current)
    for path in topic:
        _keep_following(work, reader, path)
    response = done(request, "You follow it now.", return_path)
    set_reader_cookie(request, response, token)
    return response


def _keep_following(work: UnitOfWork, reader: Reader, path: str) -> None:
    """Follow the topic, unless the reader follows it already: its terms then stay as they are."""
    path = resolve_path(work.session, path)
    if subscriptions.get(work.session, reader.id, path) is None:
        reader_actions.follow(work, reader, path)


@router.post("/unfollow", dependencies=[FromOurPages])
def unfollow(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    topic: TopicField,
    return_path: _ReturnPath = None,
) -> Response:
    """Stop following a topic."""
    reader_actions.unfollow(work, require_reader(reader), topic)
    return done(request, "You no longer follow it.", return_path)


@router.post("/mute", dependencies=[FromOurPages])
def mute(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    story_id: Annotated[Id, Form(alias="story")],
    hours: Annotated[int, Form(ge=1, le=MAX_MUTE_H)] = 24,
) -> Response:
    """Mute for a while the topics that brought an alert of this story: an action on the alert.

    Those are the topics by which the reader is in the story's audience. Without one, the alert
    went to everyone, and the story itself is muted.
    """
    current = require_reader(reader)
    story = require(stories.get(work.session, story_id), "story")
    story_topic = topic_paths.story_topic(story.id)
    paths = [*topic_paths.with_ancestors(story.text.topics), story_topic]
    rows = [subscriptions.get(work.session, current.id, path) for path in paths]
    follows = [row for row in rows if row is not None] or [Subscription(topic=story_topic)]
    until = work.now + timedelta(hours=hours)
    for one in follows:
        reader_actions.follow(work, current, one.topic, one.least_urgency, until)
    return done(request, "Muted.", None)


@router.post("/change", dependencies=[FromOurPages])
def change_terms(
    request: Request,
    work: WorkDep,
    reader: ReaderOrNone,
    topic: TopicField,
    least_urgency: Annotated[Urgency, Form()],
    mute_hours: Annotated[str, Form(pattern=r"^\d{0,3}$")] = "",
) -> Response:
    """Change the least urgency of a followed topic, and whether it is muted."""
    current = require_reader(reader)
    current_terms = subscriptions.get(work.session, current.id, topic)
    until = current_terms.muted_until if current_terms else None
    if mute_hours:
        hours = min(int(mute_hours), MAX_MUTE_H)
        until = work.now + timedelta(hours=hours) if hours else None
    reader_actions.follow(work, current, topic, least_urgency, until)
    return done(request, "Saved.", None)


@router.post("/devices/{device_id}/remove", dependencies=[FromOurPages])
def remove_device(
    request: Request, work: WorkDep, reader: ReaderOrNone, device_id: Annotated[Id, Path()]
) -> Response:
    """Remove one of the reader's devices."""
    reader_actions.remove_device(work, require_reader(reader), device_id)
    return done(request, "The device is removed.", None)


@router.post("/alerts-off", dependencies=[FromOurPages])
def turn_alerts_off(request: Request, work: WorkDep, reader: ReaderOrNone) -> Response:
    """Remove all of the reader's devices. What the reader follows stays."""
    current = require_reader(reader)
    for device in devices.live(work.session, current.id):
        reader_actions.remove_device(work, current, device.id)
    return done(request, "All alerts are off. What you follow is kept.")


@router.post("/test-pushes")
def pair_devices(
    request: Request, work: WorkDep, reader: ReaderOrNone, staff: Editor, caller: EditorActing
) -> Response:
    """Send the tests of the signed-in editor to this reader's devices."""
    editor_test_pushes.tie(work, staff, require_reader(reader).id, caller)
    return done(request, "Tests that you send from the desk come to these devices now.", None)


@router.post("/test-pushes/stop")
def unpair_devices(
    request: Request, work: WorkDep, staff: Editor, caller: EditorActing
) -> Response:
    """Send those tests to no device."""
    editor_test_pushes.untie(work, staff, caller)
    return done(request, "These devices get no more tests.", None)


@router.get("/export")
def export(work: WorkDep, settings: SettingsDep, reader: ReaderOrNone) -> Response:
    """Return everything that is stored about the reader, as a file."""
    response = Response(media_type="application/json", headers={"Cache-Control": PRIVATE})
    response.headers["Content-Disposition"] = 'attachment; filename="newszop-me.json"'
    content = readers.export_reader(work, settings, require_reader(reader), response)
    response.body = content.model_dump_json(indent=2).encode()
    response.headers["Content-Length"] = str(len(response.body))
    return response


@router.post("/forget", dependencies=[FromOurPages])
def forget(request: Request, work: WorkDep, reader: ReaderOrNone) -> Response:
    """Erase the reader, the devices and the subscriptions for good."""
    reader_actions.erase_reader(work, require_reader(reader))
    response = done(request, "You are forgotten.", None)
    response.delete_cookie(READER_COOKIE, path=READER_PATH)
    return response


def require_reader(reader: Reader | None) -> Reader:
    """Return the reader; `Unauthenticated` for a browser that has none."""
    if reader is None:
        raise Unauthenticated("This browser follows nothing yet.")
    return reader


def done(request: Request, sentence: str, return_path: str | None = None) -> Response:
    """Return JSON to a script, and redirect a form to the reader's page with the sentence."""
    if "application/json" in request.headers.get("accept", ""):
        return _json({"done": sentence})
    page = form_guards.local_path(return_path, READER_PATH)
    target = READER_PATH if page == READER_PATH else f"{READER_PATH}?back={page}"
    return redirect(request, target, sentence, flash_path=READER_PATH)


def _json(body: Any) -> Response:
    return JSONResponse(body, headers={"Cache-Control": PRIVATE})
