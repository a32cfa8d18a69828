"""Writing: a new story, the next revision, what changed between two, autosave, retract."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel

from service.actions import stories as story_actions
from service.domain.errors import Conflict, Invalid, no_such, require
from service.domain.people import Caller, Staff
from service.domain.story import Story, StoryState, StoryText
from service.http.dependencies import Id, WorkDep
from service.store.staff import audit
from service.store.stories import autosaves, stories, topics
from service.unit_of_work import UnitOfWork
from service.web import form_guards, text_diff
from service.web.rendering import PRIVATE, render
from service.web.visitors import Editor, EditorActing

router = APIRouter(prefix="/desk/stories")
KNOWN_TOPICS = 200
StoryId = Annotated[Id, Path()]


class StoryFields(BaseModel):
    """The form as it comes in: text, every field of it."""

    headline: Annotated[str, Form(max_length=2000)] = ""
    summary: Annotated[str, Form(max_length=20_000)] = ""
    body: str = ""
    topics: str = ""
    language: str = "en"
    author: str = ""
    image_url: str = ""
    embargo_until: str = ""
    expires_at: str = ""
    version: int = 0
    do: str = "draft"

    def read(self, kept: StoryText | None) -> StoryText:
        """Return the text; what the form does not show stays as it was `kept`."""
        return StoryText(
            headline=self.headline,
            summary=self.summary,
            body=self.body,
            topics=tuple(part.strip() for part in self.topics.split(",") if part.strip()),
            language=self.language.strip() or "en",
            author=self.author,
            image_url=self.image_url.strip() or None,
            urgency=kept.urgency if kept else None,
            embargo_until=_moment(self.embargo_until, "embargo_until"),
            expires_at=_moment(self.expires_at, "expires_at"),
        )

    def shown(self) -> dict[str, Any]:
        """Return the fields as the page shows them."""
        return self.model_dump(exclude={"version", "do"})


Fields = Annotated[StoryFields, Form()]


def _moment(text: str, name: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(name, "Give a date and a time.") from None


def _shown(text: StoryText) -> dict[str, Any]:
    minutes = "%Y-%m-%dT%H:%M"
    return {
        "headline": text.headline,
        "summary": text.summary,
        "body": text.body,
        "topics": ", ".join(text.topics),
        "language": text.language,
        "author": text.author,
        "image_url": text.image_url or "",
        "embargo_until": text.embargo_until.strftime(minutes) if text.embargo_until else "",
        "expires_at": text.expires_at.strftime(minutes) if text.expires_at else "",
    }


@dataclass(slots=True)
class _Page:
    """What the form shows besides its fields."""

    story: Story | None = None
    form: dict[str, Any] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)


def _show(request: Request, work: UnitOfWork, staff: Staff, page: _Page) -> Response:
    story = page.story
    story_id = story.id if story else autosaves.NEW_STORY
    typed = autosaves.of_story(work.session, story_id)
    mine = next((one for one in typed if one.staff_id == staff.id), None)
    form = page.form or _shown(story.text if story else StoryText(headline="", body=""))
    restored = None
    if mine is not None and page.form is None:
        form |= {name: value for name, value in mine.content.items() if name in form}
        restored = mine.saved_at
    revisions = stories.revisions(work.session, story_id) if story else []
    known = topics.page(work.session, None, KNOWN_TOPICS)
    return render(
        request,
        "story_form.html",
        status=422 if page.faults else 200,
        story=story,
        form=form,
        faults=dict(page.faults),
        restored=restored,
        others=[one for one in typed if one.staff_id != staff.id] if story else [],
        revisions=revisions,
        names=audit.caller_names(work.session, {one.saved_by for one in revisions}),
        topics=known.items,
        every_topic=known.next is None,
        action=f"/desk/stories/{story.id}" if story else "/desk/stories/new",
    )


@router.get("/new")
def new(request: Request, work: WorkDep, staff: Editor) -> Response:
    """Show an empty form, or what was typed and not saved."""
    return _show(request, work, staff, _Page())


@router.get("/{story_id}")
def edit(request: Request, work: WorkDep, staff: Editor, story_id: StoryId) -> Response:
    """Show a story to be revised."""
    return _show(request, work, staff, _Page(_story(work, story_id)))


@router.post("/new")
def create(
    request: Request, work: WorkDep, staff: Editor, caller: EditorActing, fields: Fields
) -> Response:
    """Save a new story, as a draft or out at once."""
    state = StoryState.PUBLISHED if fields.do == "publish" else StoryState.DRAFT
    try:
        story = story_actions.save_story(work, None, fields.read(None), state, caller)
    except Invalid as fault:
        return _show(request, work, staff, _Page(None, fields.shown(), _faults(fault)))
    autosaves.drop(work.session, staff.id, autosaves.NEW_STORY)
    return _saved(request, None, story)


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
    current = _story(work, story_id)
    try:
        story = _save(work, current, fields, caller)
    except (Invalid, Conflict) as fault:
        return _show(request, work, staff, _Page(current, fields.shown(), _faults(fault)))
    autosaves.drop(work.session, staff.id, story_id)
    return _saved(request, current, story)


def _save(work: UnitOfWork, current: Story, fields: StoryFields, caller: Caller) -> Story:
    text = fields.read(current.text)
    began = fields.version or None
    if fields.do == "correct":
        return story_actions.correct(work, current.id, text, caller, began)
    draft = fields.do == "draft" and current.state is StoryState.DRAFT
    state = StoryState.DRAFT if draft else StoryState.PUBLISHED
    return story_actions.save_story(work, current.id, text, state, caller, began)


def _faults(fault: Invalid | Conflict) -> dict[str, str]:
    name = fault.field.partition(".")[0] if isinstance(fault, Invalid) else "version"
    return {name: fault.detail}


def _saved(request: Request, before: Story | None, story: Story) -> Response:
    """Go on where an editor goes on, and say what saving has done."""
    answer = RedirectResponse(f"/desk/stories/{story.id}", 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, _outcome(before, story))
    return answer


def _outcome(before: Story | None, story: Story) -> str:
    was_out = before is not None and before.state.public
    if before is not None and (before.version, before.state) == (story.version, story.state):
        return "Nothing had changed."
    if story.state is StoryState.DRAFT:
        return "Saved as a draft. Nobody sees it yet."
    if not was_out:
        return "The story is out. Send Push tells its followers."
    words = "The correction is out" if story.state is StoryState.CORRECTED else "Saved"
    return f"{words}, as version {story.version}. No alert was sent."


@router.post("/{story}/autosave")
def autosave(work: WorkDep, staff: Editor, _: EditorActing, story: str, fields: Fields) -> Response:
    """Keep what is being typed; nobody sees it but its writer."""
    content = json.dumps(fields.shown())
    autosaves.keep(work.session, staff.id, _autosave_id(story), content, work.now)
    return JSONResponse({"saved_at": work.now.isoformat()}, headers={"Cache-Control": PRIVATE})


@router.post("/{story}/throw-away")
def throw_away(work: WorkDep, staff: Editor, _: EditorActing, story: str) -> Response:
    """Forget what was typed and not saved."""
    autosaves.drop(work.session, staff.id, _autosave_id(story))
    return RedirectResponse(f"/desk/stories/{story}", 303, headers={"Cache-Control": PRIVATE})


def _autosave_id(story: str) -> int:
    if story == "new":
        return autosaves.NEW_STORY
    if not (story.isascii() and story.isdigit() and len(story) <= 19):  # noqa: PLR2004 - 63 bits
        raise no_such("story")
    return int(story)


@router.post("/{story_id}/retract")
def retract(request: Request, work: WorkDep, caller: EditorActing, story_id: StoryId) -> Response:
    """Take the story back."""
    story = story_actions.retract(work, story_id, caller)
    answer = RedirectResponse(f"/desk/stories/{story.id}", 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, "The story is taken back, and its alerts are stopped.")
    return answer


@router.get("/{story_id}/revisions")
def revisions(
    request: Request,
    work: WorkDep,
    _: Editor,
    story_id: StoryId,
    left: int | None = None,
    right: int | None = None,
) -> Response:
    """Show two revisions side by side, with what was taken out and put in."""
    story = _story(work, story_id)
    held = stories.revisions(work.session, story_id)
    newest = held[0]
    before = held[1] if len(held) > 1 else newest
    by_version = {one.version: one for one in held}
    first = by_version.get(left if left is not None else before.version, before)
    second = by_version.get(right if right is not None else newest.version, newest)
    return render(
        request,
        "revisions.html",
        story=story,
        revisions=held,
        left=first,
        right=second,
        changes=text_diff.changes(first.text, second.text),
        names=audit.caller_names(work.session, {first.saved_by, second.saved_by}),
    )


def _story(work: UnitOfWork, story_id: int) -> Story:
    return require(stories.get(work.session, story_id), "story")
