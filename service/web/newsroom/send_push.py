"""Send Push: the form, what it would do (audience, previews), and the confirmed sending."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from service import provider_door
from service.actions import alerts as alert_actions
from service.actions import estimates, test_pushes
from service.actions.idempotent_call import run_once
from service.domain.alert import Alert, Draft, Words, collapse_key
from service.domain.errors import (
    AlreadyAlerted,
    Conflict,
    Invalid,
    KeyReused,
    Refusal,
    TooMany,
    require,
)
from service.domain.people import Caller, Staff
from service.domain.story import Story, why_not_pushable
from service.domain.subscription import Urgency
from service.http.dependencies import Id, SettingsDep, WorkDep, limit
from service.http.problems import KINDS
from service.settings import Settings
from service.store.alerts import alerts, confirmations, story_alerts
from service.store.readers.audience import Estimate
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.newsroom import own_devices
from service.web.newsroom.push_form import LIFETIMES, PushFields, initial, shown_of
from service.web.rendering import PRIVATE, render
from service.web.visitors import Editor, EditorActing

router = APIRouter(prefix="/desk/stories/{story_id}/push")
StoryId = Annotated[Id, Path()]
Fields = Annotated[PushFields, Form()]
LOOKS_BACK = timedelta(hours=24)
SHOWN_DISTURBANCES = 4
MOST_CHIPS = 60
"""Topics offered as chips: the story's own first, then the tree from its top."""
DRIFT = 0.05
DRIFT_AT_LEAST = 10
TESTS_PER_MINUTE = 6


@dataclass(slots=True)
class _Page:
    """What the page shows besides the form's fields."""

    staff: Staff
    story: Story
    fields: PushFields
    faults: dict[str, str] = field(default_factory=dict)
    look_again: str = ""
    tested: Alert | None = None
    test_fault: str = ""
    status: int = 200


@router.get("")
def ask(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    story_id: StoryId,
    mode: Annotated[str, Query(pattern="^(correct|again)?$")] = "",
) -> Response:
    """Show the form with the words of the story, whom it would reach and how it would look."""
    story = _story(work, story_id)
    first = alerts.root_of_story(work.session, story_id)
    asked = confirmations.get(work.session, story_id)
    if asked is not None:
        fields = PushFields(**asked.draft)
    else:
        fields = initial(story, (mode or "again") if first else "first")
    return _show(request, work, settings, _Page(staff, story, fields))


def _show(request: Request, work: UnitOfWork, settings: Settings, page: _Page) -> Response:
    story, fields = page.story, page.fields
    listed = topics.page(work.session, None, MOST_CHIPS).items
    own = topics.by_paths(work.session, story.text.topics)
    extra = [own[p] for p in story.text.topics if p in own and p not in {t.path for t in listed}]
    return render(
        request,
        "push.html",
        status=page.status,
        story=story,
        form=shown_of(fields),
        mode=fields.mode,
        faults=page.faults,
        look_again=page.look_again,
        refusal=why_not_pushable(story, work.now) or "",
        first=alerts.root_of_story(work.session, story.id),
        asked=confirmations.get(work.session, story.id),
        topics=[*topics.with_followers(work.session, extra), *listed],
        story_topics=", ".join(own[p].label for p in story.text.topics if p in own),
        lifetimes=LIFETIMES,
        intent=secrets.token_urlsafe(16),
        two_persons=settings.breaking_needs_two,
        test_fault=page.test_fault,
        **own_devices.tested(work, settings, page.staff, page.tested),
        **_look(work, settings, story, fields),
    )


def _look(work: UnitOfWork, settings: Settings, story: Story, fields: PushFields) -> dict[str, Any]:
    """Return whom the alert would reach, who was disturbed lately, and how it would look."""
    try:
        draft = fields.read()
        estimate = estimates.estimate_audience(work, story.id, draft, settings.providers)
    except Refusal:
        draft, estimate = Draft(), Estimate(0, {}, exact=True)
    paths = story.text.topics if draft.topics is None else draft.topics
    disturbed = story_alerts.recent_alerts(
        work.session, paths, everyone=draft.everyone, since=work.now - LOOKS_BACK
    )
    looks = provider_door.previews(_alert_content(settings, story, draft, work.now))
    reached = {name: look for name, look in looks.items() if estimate.by_provider.get(name)}
    return {
        "estimate": estimate,
        "disturbed": disturbed[:SHOWN_DISTURBANCES],
        "previews": reached or looks,
        "language": story.text.language,
    }


def _alert_content(
    settings: Settings, story: Story, draft: Draft, now: datetime
) -> provider_door.AlertContent:
    """Return the alert as providers would get it, but for its id."""
    words = Words(
        story.text.headline if draft.title is None else draft.title,
        story.text.summary if draft.body is None else draft.body,
    )
    return provider_door.AlertContent(
        alert_id=str(2**63 - 1),
        story_id=str(story.id),
        words={"": words},
        language=story.text.language,
        url=stories.url(settings.public_url, story.slug),
        image_url=story.text.image_url,
        icon_url=f"{settings.public_url}/static/icon-192.png",
        urgency=draft.urgency,
        collapse_key=collapse_key(story.id),
        expires_at=now + draft.ttl,
    )


@router.post("/look")
def look(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    _: EditorActing,
    story_id: StoryId,
    fields: Fields,
) -> Response:
    """Return the aside anew while the editor types: a fragment, in place of the one shown."""
    story = _story(work, story_id)
    return render(request, "push_look.html", **_look(work, settings, story, fields))


@router.post("")
def send(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    story_id: StoryId,
    fields: Fields,
) -> Response:
    """Send it, once, if it was confirmed with the number of devices that it would reach."""
    story = _story(work, story_id)
    page = _Page(staff, story, fields, status=422)
    try:
        draft = fields.read()
        page.look_again = _why_look_again(work, settings, story, fields, draft)
        if not page.look_again:
            if _needs_second(work, settings, staff, story, fields, draft):
                return _ask_for_second(request, work, staff, story, fields)
            with work.session.begin_nested():
                alert = _send_once(work, story, draft, fields, caller)
            return _to_alert(alert)
    except AlreadyAlerted as already:
        return _to_alert(already.first_id)
    except (Invalid, Conflict, KeyReused) as fault:
        page.faults = {getattr(fault, "field", "alert"): fault.detail}
        page.status = 409 if isinstance(fault, Conflict) else 422
    return _show(request, work, settings, page)


@router.post("/test")
def try_out(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    story_id: StoryId,
    fields: Fields,
) -> Response:
    """Send the words as they stand to the editor's own devices; the form stays as it is."""
    page = _Page(staff, _story(work, story_id), fields)
    try:
        limit(request, "tests", caller.name, TESTS_PER_MINUTE)
        draft, providers = fields.words(), settings.providers
        page.tested = test_pushes.send_test(work, story_id, draft, staff, caller, providers)
    except (Invalid, Conflict, TooMany) as refusal:
        page.test_fault = refusal.detail
        page.status = KINDS[type(refusal)].status
    return _show(request, work, settings, page)


def _why_look_again(
    work: UnitOfWork, settings: Settings, story: Story, fields: PushFields, draft: Draft
) -> str:
    """Say why the editor must look once more; empty when the number confirmed is the number."""
    if draft.send_at is None and fields.counted is not None:
        found = estimates.estimate_audience(work, story.id, draft, settings.providers)
        drift = abs(found.devices - fields.counted)
        if drift > max(DRIFT_AT_LEAST, DRIFT * fields.counted):
            return f"The audience is {found.devices:,} devices now: look at it and confirm again."
    if fields.confirm != "yes":
        return "Confirm that you have read it: tick the box beside the number."
    return ""


def _send_once(
    work: UnitOfWork, story: Story, draft: Draft, fields: PushFields, caller: Caller
) -> int:
    """Send the alert, or return the one that this very form has sent already."""

    def send() -> dict[str, str]:
        alert = alert_actions.send_alert(work, story.id, draft, caller)
        confirmations.clear(work.session, story.id)
        return {"id": str(alert.id)}

    endpoint = f"desk push {story.id}"
    answer = run_once(work, caller, endpoint, fields.intent, fields.wishes(), send, 303)
    return int(answer["id"])


def _needs_second(
    work: UnitOfWork,
    settings: Settings,
    staff: Staff,
    story: Story,
    fields: PushFields,
    draft: Draft,
) -> bool:
    """Whether another editor must confirm: a breaking alert that nobody else has asked for."""
    if not settings.breaking_needs_two or draft.urgency is not Urgency.BREAKING or draft.dry_run:
        return False
    asked = confirmations.get(work.session, story.id)
    if asked is None or asked.asked_by == staff.id:
        return True
    return PushFields(**asked.draft).wishes() != fields.wishes()


def _ask_for_second(
    request: Request, work: UnitOfWork, staff: Staff, story: Story, fields: PushFields
) -> Response:
    refusal = why_not_pushable(story, work.now)
    if refusal is not None:
        raise Conflict(refusal)
    confirmations.ask(work.session, story.id, fields.wishes(), staff.id, work.now)
    answer = _back(story)
    form_guards.say(request, answer, "Another editor has to confirm it now: on the desk, or here.")
    return answer


@router.post("/take-back")
def take_back(work: WorkDep, _: EditorActing, story_id: StoryId) -> Response:
    """Take the request for a second pair of eyes back."""
    story = _story(work, story_id)
    confirmations.clear(work.session, story_id)
    return _back(story)


def _back(story: Story) -> Response:
    url = f"/desk/stories/{story.id}/push"
    return RedirectResponse(url, 303, headers={"Cache-Control": PRIVATE})


def _to_alert(alert_id: int) -> Response:
    url = f"/desk/alerts/{alert_id}"
    return RedirectResponse(url, 303, headers={"Cache-Control": PRIVATE})


def _story(work: UnitOfWork, story_id: int) -> Story:
    return require(stories.get(work.session, story_id), "story")
