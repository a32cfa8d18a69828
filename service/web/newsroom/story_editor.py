"""The story editor: a new story, its revisions and their differences, autosave, retraction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Form, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.actions import stories as story_actions
from service.domain.errors import Conflict, Invalid, no_such, require
from service.domain.people import Caller, Staff
from service.domain.story import Story, StoryState, StoryText
from service.http.api_document import Router
from service.http.dependencies import Id, WorkDep
from service.store.staff import audit
from service.store.stories import autosaves, stories, story_revisions, topics
from service.unit_of_work import UnitOfWork
from service.web.newsroom import text_diff
from service.web.rendering import PRIVATE, redirect, render
from service.web.visitors import Editor, EditorActing

router = Router(prefix="/desk/stories", in_document=False)
SUGGESTED_TOPICS = 200
StoryId = Annotated[Id, Path()]


class StoryFields(BaseModel):
    """The form as the browser sends it: every field is text."""

    headline: Annotated[str, Form(max_length=2000)] = ""
    summary: Annotated[str, Form(max_length=20_000)] = ""
    body: str = ""
    topics: str = ""
    language: str = "en"
    author: str = ""
    image_url: str = ""
    image_alt: str = ""
    embargo_until: str = ""
    expires_at: str = ""
    version: int = 0
    over: int = 0
    do: str = "draft"

    def parse(self, current: StoryText | None) -> StoryText:
        """Return the text. What the form does not show stays as it is in the current text."""
        return StoryText(
            headline=self.headline,
            summary=self.summary,
            body=self.body,
            topics=tuple(part.strip() for part in self.topics.split(",") if part.strip()),
            language=self.language.strip() or "en",
            author=self.author,
            image_url=self.image_url.strip() or None,
            image_alt=self.image_alt,
            urgency=current.urgency if current else None,
            embargo_until=_parse_time(self.embargo_until, "embargo_until"),
            expires_at=_parse_time(self.expires_at, "expires_at"),
        )

    def template_values(self) -> dict[str, Any]:
        """Return the fields as the template shows them."""
        return self.model_dump(exclude={"version", "over", "do"})


Fields = Annotated[StoryFields, Form()]


def _parse_time(text: str, name: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(name, "Give a date and a time.") from None


def _form_values(text: StoryText) -> dict[str, Any]:
    pattern = "%Y-%m-%dT%H:%M"
    return {
        "headline": text.headline,
        "summary": text.summary,
        "body": text.body,
        "topics": ", ".join(text.topics),
        "language": text.language,
        "author": text.author,
        "image_url": text.image_url or "",
        "image_alt": text.image_alt or "",
        "embargo_until": text.embargo_until.strftime(pattern) if text.embargo_until else "",
        "expires_at": text.expires_at.strftime(pattern) if text.expires_at else "",
    }


@dataclass(slots=True)
class _EditorPage:
    """What the page shows: the story, the form as typed, and what is wrong with it."""

    story: Story | None = None
    form: dict[str, Any] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    base_version: int | None = None
    """The version that the form's text began from; None for the story's own."""


def _show(request: Request, work: UnitOfWork, staff: Staff, page: _EditorPage) -> Response:
    story = page.story
    story_id = story.id if story else autosaves.NEW_STORY
    drafts = autosaves.of_story(work.session, story_id)
    draft = next((one for one in drafts if one.staff_id == staff.id), None)
    form = page.form or _form_values(story.text if story else StoryText(headline="", body=""))
    autosaved_at, version = None, page.base_version
    if draft is not None and page.form is None:
        form |= {name: value for name, value in draft.content.items() if name in form}
        autosaved_at, version = draft.saved_at, draft.content.get("version")
    version = (version or story.version) if story else 0
    revisions = story_revisions.of_story(work.session, story_id) if story else []
    suggestions = topics.page(work.session, None, SUGGESTED_TOPICS)
    return render(
        request,
        "story_form.html",
        status=422 if page.faults else 200,
        story=story,
        form=form,
        faults=dict(page.faults),
        autosaved_at=autosaved_at,
        other_drafts=[one for one in drafts if one.staff_id != staff.id] if story else [],
        version=version,
        conflict=_describe_conflict(story, form, version) if story else None,
        revisions=revisions,
        names=audit.caller_names(work.session, {one.saved_by for one in revisions}),
        topics=suggestions.items,
        all_topics_listed=suggestions.next is None,
        action=f"/desk/stories/{story.id}" if story else "/desk/stories/new",
    )


def _describe_conflict(story: Story, form: Mapping[str, Any], version: int) -> Any:
    """Return how the form's text differs from one that somebody saved since; None if nobody did."""
    if version == story.version:
        return None
    try:
        text = story_actions.edit_text(
            StoryFields(**form).parse(story.text), StoryState.DRAFT, None
        )
    except Invalid:
        text = replace(story.text, headline=form["headline"], body=form["body"])
    return text_diff.changed_fields(story.text, text)


@router.get("/new")
def new(request: Request, work: WorkDep, staff: Editor) -> Response:
    """Show an empty form, or the text that was autosaved."""
    return _show(request, work, staff, _EditorPage())


@router.get("/{story_id}")
def edit(request: Request, work: WorkDep, staff: Editor, story_id: StoryId) -> Response:
    """Show a story in the form."""
    return _show(request, work, staff, _EditorPage(_require_story(work, story_id)))


@router.post("/new")
def create(
    request: Request, work: WorkDep, staff: Editor, caller: EditorActing, fields: Fields
) -> Response:
    """Save a new story as a draft, or publish it at once."""
    state = StoryState.PUBLISHED if fields.do == "publish" else StoryState.DRAFT
    try:
        story = story_actions.save_story(work, None, fields.parse(None), state, caller)
    except Invalid as fault:
        return _show(
            request, work, staff, _EditorPage(None, fields.template_values(), _faults(fault))
        )
    autosaves.drop(work.session, staff.id, autosaves.NEW_STORY)
    return _redirect_to_editor(request, None, story)


@router.post("/{story_id}")
def save(
    request: Request,
    work: WorkDep,
    staff: Editor,
    caller: EditorActing,
    story_id: StoryId,
    fields: Fields,
) -> Response:
    """Save the next revision: silently, or as a correction that says so."""
    current = _require_story(work, story_id)
    try:
        story = _save(work, current, fields, caller)
    except (Invalid, Conflict) as fault:
        form, base_version = fields.template_values(), fields.over or fields.version or None
        page = _EditorPage(current, form, _faults(fault), base_version)
        return _show(request, work, staff, page)
    autosaves.drop(work.session, staff.id, story_id)
    return _redirect_to_editor(request, current, story)


def _save(work: UnitOfWork, current: Story, fields: StoryFields, caller: Caller) -> Story:
    text = fields.parse(current.text)
    base_version = fields.over or fields.version or None
    if fields.do == "correct":
        return story_actions.correct(work, current.id, text, caller, base_version)
    stays_draft = fields.do == "draft" and current.state is StoryState.DRAFT
    state = StoryState.DRAFT if stays_draft else StoryState.PUBLISHED
    return story_actions.save_story(work, current.id, text, state, caller, base_version)


def _faults(fault: Invalid | Conflict) -> dict[str, str]:
    name = fault.field.partition(".")[0] if isinstance(fault, Invalid) else "version"
    return {name: fault.detail}


def _redirect_to_editor(request: Request, before: Story | None, story: Story) -> Response:
    """Return to the editor, which says what saving has done."""
    return redirect(request, f"/desk/stories/{story.id}", _describe_outcome(before, story))


def _describe_outcome(before: Story | None, story: Story) -> str:
    was_public = before is not None and before.state.public
    if before is not None and (before.version, before.state) == (story.version, story.state):
        return "Nothing had changed."
    if story.state is StoryState.DRAFT:
        return "Saved as a draft. Readers do not see it yet."
    if not was_public:
        return "The story is published. Send Push alerts its followers."
    words = "The correction is published" if story.state is StoryState.CORRECTED else "Saved"
    return f"{words}, as version {story.version}. No alert was sent."


@router.post("/{story}/autosave")
def autosave(work: WorkDep, staff: Editor, _: EditorActing, story: str, fields: Fields) -> Response:
    """Keep the text that is being typed. Only its writer sees it."""
    story_id = _autosave_id(story)
    content = json.dumps(fields.template_values() | {"version": fields.version})
    autosaves.keep(work.session, staff.id, story_id, content, work.now)
    current = stories.get(work.session, story_id)
    answer = {"saved_at": work.now.isoformat(), "version": current.version if current else 0}
    return JSONResponse(answer, headers={"Cache-Control": PRIVATE})


@router.post("/{story}/throw-away")
def discard_autosave(
    request: Request, work: WorkDep, staff: Editor, _: EditorActing, story: str
) -> Response:
    """Discard the autosaved text."""
    autosaves.drop(work.session, staff.id, _autosave_id(story))
    return redirect(request, f"/desk/stories/{story}")


def _autosave_id(story: str) -> int:
    if story == "new":
        return autosaves.NEW_STORY
    if not (story.isascii() and story.isdigit() and len(story) <= 19):  # noqa: PLR2004 - 63 bits
        raise no_such("story")
    return int(story)


@router.post("/{story_id}/retract")
def retract(request: Request, work: WorkDep, caller: EditorActing, story_id: StoryId) -> Response:
    """Retract the story."""
    story = story_actions.retract(work, story_id, caller)
    flash = "The story is retracted, and its alerts are stopped."
    return redirect(request, f"/desk/stories/{story.id}", flash)


@router.get("/{story_id}/revisions")
def revisions(
    request: Request,
    work: WorkDep,
    _: Editor,
    story_id: StoryId,
    left_version: Annotated[int | None, Query(alias="left")] = None,
    right_version: Annotated[int | None, Query(alias="right")] = None,
) -> Response:
    """Show two revisions side by side, with what was removed and added."""
    story = _require_story(work, story_id)
    all_revisions = story_revisions.of_story(work.session, story_id)
    newest = all_revisions[0]
    previous = all_revisions[1] if len(all_revisions) > 1 else newest
    by_version = {one.version: one for one in all_revisions}
    before = by_version.get(previous.version if left_version is None else left_version, previous)
    after = by_version.get(newest.version if right_version is None else right_version, newest)
    return render(
        request,
        "revisions.html",
        story=story,
        revisions=all_revisions,
        before=before,
        after=after,
        changes=text_diff.changed_fields(before.text, after.text),
        names=audit.caller_names(work.session, {before.saved_by, after.saved_by}),
    )


def _require_story(work: UnitOfWork, story_id: int) -> Story:
    return require(stories.get(work.session, story_id), "story")
