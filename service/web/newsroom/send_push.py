"""Send Push: the form, the confirmed sending, the test, and the second editor's confirmation."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated

from fastapi import Form, Path, Query, Request, Response

from service.actions import alerts as alert_actions
from service.actions import editor_test_pushes, estimates
from service.actions import stories as story_actions
from service.actions.idempotent_call import run_once
from service.domain.alert import Alert, Draft
from service.domain.errors import (
    AlreadyAlerted,
    Conflict,
    Invalid,
    KeyReused,
    TooMany,
    require,
)
from service.domain.people import Caller, Staff
from service.domain.story import Story, why_not_pushable
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.dependencies import Id, SettingsDep, WorkDep, limit
from service.http.problems import KINDS
from service.settings import Settings
from service.store.alerts import alerts, confirmations
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork
from service.web.newsroom import own_devices, push_preview
from service.web.newsroom.push_form import (
    LIFETIMES,
    SPREADS,
    TEST_MINUTES,
    TEST_SHARES,
    PushFields,
    fields_of_alert,
    initial_fields,
    template_values,
)
from service.web.rendering import redirect, render
from service.web.visitors import Editor, EditorActing

router = Router(prefix="/desk/stories/{story_id}/push", in_document=False)
StoryId = Annotated[Id, Path()]
Fields = Annotated[PushFields, Form()]
MAX_CHIPS = 60
"""Topics offered as chips: the story's own first, then the tree from its top."""
TOLERATED_SHARE = 0.05
TOLERATED_DEVICES = 10
"""How far the audience may differ from the number that the editor confirmed: the larger of both."""
TESTS_PER_MINUTE = 6


@dataclass(slots=True)
class _PushPage:
    """What the page shows besides the form's fields."""

    staff: Staff
    story: Story
    fields: PushFields
    faults: dict[str, str] = field(default_factory=dict)
    warning: str = ""
    test: Alert | None = None
    test_fault: str = ""
    status: int = 200


@router.get("")
def show(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    story_id: StoryId,
    mode: Annotated[str, Query(pattern="^(correct|again)?$")] = "",
    undone: Annotated[Id | None, Query()] = None,
) -> Response:
    """Show the form with the story's words, the audience and the previews."""
    story = _require_story(work, story_id)
    first = alerts.root_of_story(work.session, story_id)
    second_look = confirmations.get(work.session, story_id)
    undone_alert = _find_undone(work, story, undone)
    usual_mode = (mode or "again") if first else "first"
    if undone_alert is not None:
        fields = fields_of_alert(undone_alert, usual_mode)
    elif second_look is not None:
        fields = PushFields(**second_look.draft)
    else:
        fields = initial_fields(story, usual_mode)
    return _show(request, work, settings, _PushPage(staff, story, fields))


def _find_undone(work: UnitOfWork, story: Story, alert_id: int | None) -> Alert | None:
    alert = alerts.get(work.session, alert_id) if alert_id else None
    return alert if alert is not None and alert.story_id == story.id else None


def _show(request: Request, work: UnitOfWork, settings: Settings, page: _PushPage) -> Response:
    story, fields = page.story, page.fields
    chips = topics.page(work.session, None, MAX_CHIPS).items
    by_path = topics.by_paths(work.session, story.text.topics)
    story_topics = [by_path[path] for path in story.text.topics if path in by_path]
    chip_paths = {chip.path for chip in chips}
    extra = [topic for topic in story_topics if topic.path not in chip_paths]
    return render(
        request,
        "push.html",
        status=page.status,
        story=story,
        form=template_values(fields),
        mode=fields.mode,
        faults=page.faults,
        warning=page.warning,
        refusal=why_not_pushable(story, work.now) or "",
        first=alerts.root_of_story(work.session, story.id),
        second_look=confirmations.get(work.session, story.id),
        topics=[*topics.with_followers(work.session, extra), *chips],
        story_topics=", ".join(topic.label for topic in story_topics),
        lifetimes=LIFETIMES,
        spreads=SPREADS,
        test_shares=TEST_SHARES,
        test_minutes=TEST_MINUTES,
        intent=secrets.token_urlsafe(16),
        test_fault=page.test_fault,
        **own_devices.describe_test(work, settings, page.staff, page.test),
        **push_preview.preview_push(work, settings, story, fields),
    )


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
    """Send the alert once, if the editor has confirmed the number of devices that it reaches."""
    story = _require_story(work, story_id)
    page = _PushPage(staff, story, fields, status=422)
    try:
        draft = fields.parse(work.now, timedelta(seconds=settings.undo_seconds))
        estimates.require_audience(work, story.id, draft, settings)
        page.warning = _why_not_confirmed(work, settings, story, fields, draft)
        if not page.warning:
            if _needs_second_editor(work, settings, staff, story, fields, draft):
                return _request_second_editor(request, work, staff, story, fields)
            with work.session.begin_nested():
                alert = _send_once(work, story, draft, fields, caller)
            return _redirect_to_alert(request, alert, _correct_story(work, story, fields, caller))
    except AlreadyAlerted as conflict:
        return _redirect_to_alert(request, conflict.first_id)
    except (Invalid, Conflict, KeyReused) as fault:
        page.faults = {getattr(fault, "field", "alert"): fault.detail}
        page.status = 409 if isinstance(fault, Conflict) else 422
    return _show(request, work, settings, page)


@router.post("/test")
def send_test(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    staff: Editor,
    caller: EditorActing,
    story_id: StoryId,
    fields: Fields,
) -> Response:
    """Send the words as they are to the editor's own devices. The form stays as it is."""
    page = _PushPage(staff, _require_story(work, story_id), fields)
    try:
        limit(request, "tests", caller.name, TESTS_PER_MINUTE)
        draft, providers = fields.draft_words(), settings.providers
        page.test = editor_test_pushes.send_test(work, story_id, draft, staff, caller, providers)
    except (Invalid, Conflict, TooMany) as refusal:
        page.test_fault = refusal.detail
        page.status = KINDS[type(refusal)].status
    return _show(request, work, settings, page)


def _why_not_confirmed(
    work: UnitOfWork, settings: Settings, story: Story, fields: PushFields, draft: Draft
) -> str:
    """Return why the editor must confirm again; empty if the alert is confirmed."""
    if draft.send_at is None and fields.counted is not None:
        estimate = estimates.estimate_audience(work, story.id, draft, settings)
        difference = abs(estimate.devices - fields.counted)
        if difference > max(TOLERATED_DEVICES, TOLERATED_SHARE * fields.counted):
            return f"The audience is {estimate.devices:,} devices now. Check it and confirm again."
    if fields.confirm != "yes":
        return "Tick the box beside the number to confirm that you have read the alert."
    return ""


def _send_once(
    work: UnitOfWork, story: Story, draft: Draft, fields: PushFields, caller: Caller
) -> int:
    """Send the alert, or return the id of the one that this form has sent already."""

    def send() -> dict[str, str]:
        alert = alert_actions.send_alert(work, story.id, draft, caller)
        confirmations.clear(work.session, story.id)
        return {"id": str(alert.id)}

    endpoint = f"desk push {story.id}"
    answer = run_once(work, caller, endpoint, fields.intent, fields.content(), send, 303)
    return int(answer["id"])


def _correct_story(work: UnitOfWork, story: Story, fields: PushFields, caller: Caller) -> str:
    """Give the story the words of its alert's correction, if the editor wants it; says so."""
    if fields.mode != "correct" or not story.state.public or fields.dry_run:
        return ""
    if not fields.correct_story:
        return "The story's page keeps its text."
    text = replace(
        story.text,
        headline=fields.title.strip() or story.text.headline,
        summary=fields.body.strip() or story.text.summary,
    )
    story_actions.correct(work, story.id, text, caller)
    return "The story is corrected too: its headline and summary say the same."


def _needs_second_editor(
    work: UnitOfWork,
    settings: Settings,
    staff: Staff,
    story: Story,
    fields: PushFields,
    draft: Draft,
) -> bool:
    """Whether another editor must confirm: the alert is breaking and nobody else requested it."""
    if not settings.breaking_needs_two or draft.urgency is not Urgency.BREAKING or draft.dry_run:
        return False
    second_look = confirmations.get(work.session, story.id)
    if second_look is None or second_look.asked_by == staff.id:
        return True
    return PushFields(**second_look.draft).content() != fields.content()


def _request_second_editor(
    request: Request, work: UnitOfWork, staff: Staff, story: Story, fields: PushFields
) -> Response:
    refusal = why_not_pushable(story, work.now)
    if refusal is not None:
        raise Conflict(refusal)
    confirmations.ask(work.session, story.id, fields.content(), staff.id, work.now)
    flash = "Another editor has to confirm it now, from the desk or on this page."
    return redirect(request, _push_url(story), flash)


@router.post("/take-back")
def cancel_request(request: Request, work: WorkDep, _: EditorActing, story_id: StoryId) -> Response:
    """Cancel the request for a second editor's confirmation."""
    story = _require_story(work, story_id)
    confirmations.clear(work.session, story_id)
    return redirect(request, _push_url(story))


def _push_url(story: Story) -> str:
    return f"/desk/stories/{story.id}/push"


def _redirect_to_alert(request: Request, alert_id: int, flash: str = "") -> Response:
    return redirect(request, f"/desk/alerts/{alert_id}", flash)


def _require_story(work: UnitOfWork, story_id: int) -> Story:
    return require(stories.get(work.session, story_id), "story")
