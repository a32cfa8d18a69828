"""What people do with stories: save, publish, correct, retract."""

from dataclasses import dataclass, replace

from service.actions import alerts as alert_actions
from service.actions import story_text
from service.actions.media.uploads import claim_pictures
from service.domain.errors import Conflict, require
from service.domain.people import Caller
from service.domain.story import (
    Outcome,
    Story,
    StoryState,
    StoryText,
    judge_version,
    published_when,
    state_after,
    why_not_pushable,
)
from service.store.schema import new_id
from service.store.staff import audit
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SavedStory:
    """The story as it is now, and what a text did to it."""

    story: Story
    outcome: Outcome


def save_story(
    work: UnitOfWork,
    story_id: int | None,
    text: StoryText,
    state: StoryState,
    caller: Caller,
    version: int | None = None,
) -> Story:
    """Save what an editor wrote as a new story or as the next revision of one.

    `version` is the one the editor began from; `Conflict` when somebody saved another since.
    """
    text = edit_text(text, state)
    if story_id is None:
        story = build_story(work, text, state, None, None)
        if not stories.add(work.session, story, caller.name):
            raise Conflict("The story could not be saved: try again.")
        ensure_topics(work, story)
    else:
        current = _lock(work, story_id)
        if version is not None and version != current.version:
            raise Conflict(
                f"Somebody saved version {current.version} since you opened version {version}."
            )
        version = _revival_version(current, state)
        story = update_story(work, current, text, state, version, caller).story
    _audit_publication(work, story, caller)
    return story


def _revival_version(current: Story, state: StoryState) -> int | None:
    """Return the version with which an editor publishes a retracted story again, changed or not."""
    return current.version + 1 if current.state is StoryState.RETRACTED and state.public else None


def save_draft(work: UnitOfWork, story_id: int | None, text: StoryText, caller: Caller) -> Story:
    """Save a story as a draft."""
    return save_story(work, story_id, text, StoryState.DRAFT, caller)


def publish(work: UnitOfWork, story_id: int, caller: Caller) -> Story:
    """Make a story public as it is, or when its embargo lifts."""
    current = _lock(work, story_id)
    if current.state.public:
        return current
    return save_story(work, story_id, current.text, StoryState.PUBLISHED, caller)


def correct(
    work: UnitOfWork, story_id: int, text: StoryText, caller: Caller, version: int | None = None
) -> Story:
    """Publish a revision marked as a correction; the editor decides about an alert."""
    if not _lock(work, story_id).state.public:
        raise Conflict("Only a published story can be corrected.")
    return save_story(work, story_id, text, StoryState.CORRECTED, caller, version)


def retract(work: UnitOfWork, story_id: int, caller: Caller, reason: str = "") -> Story:
    """Take a story back: its page is gone, its scheduled and running alerts stop.

    Repeating it changes nothing. The version stays, so that its sender can still correct it.
    """
    current = _lock(work, story_id)
    if current.state is not StoryState.RETRACTED:
        current = replace(current, state=StoryState.RETRACTED, updated_at=work.now)
        stories.set_state(work.session, current)
        _audit(work, caller, "retract", current, reason=reason)
    alert_actions.stop_alerts_of(work, story_id, caller, "The story was retracted.")
    return current


def edit_text(text: StoryText, state: StoryState, base: str | None = None) -> StoryText:
    """Return the text as it is saved; raises `Invalid`. Only a draft may have an empty body."""
    text = story_text.edit(text, base)
    if state is not StoryState.DRAFT:
        story_text.require_body(text)
    return text


def update_story(
    work: UnitOfWork,
    current: Story,
    text: StoryText,
    new_state: StoryState,
    version: int | None,
    caller: Caller,
) -> SavedStory:
    """Judge a text for an existing story, which is locked, and save it if it is new."""
    state = state_after(current, text, new_state, version)
    outcome, number = judge_version(current, text, state, version)
    if outcome is not Outcome.UPDATED:
        return SavedStory(current, outcome)
    claim_pictures(work, text)
    story = replace(
        current,
        version=number,
        state=state,
        text=text,
        updated_at=work.now,
        published_at=published_when(current, text, state, work.now),
    )
    stories.save(work.session, story, caller.name)
    ensure_topics(work, story)
    refusal = why_not_pushable(story, work.now)
    if refusal is not None and story.state.public:
        alert_actions.stop_running_alerts_of(work, story.id, caller, refusal)
    return SavedStory(story, outcome)


def ensure_topics(work: UnitOfWork, story: Story) -> None:
    """Create the topics of a story that is out; a draft's new topics are nobody's yet."""
    if story.state.public:
        topics.ensure(work.session, story.text.topics)


def build_story(
    work: UnitOfWork,
    text: StoryText,
    state: StoryState,
    source_uri: str | None,
    version: int | None,
) -> Story:
    """Return a new story, which is not saved yet."""
    claim_pictures(work, text)
    story_id = new_id()
    return Story(
        id=story_id,
        slug=story_text.slug_of(text.headline, story_id),
        version=1 if version is None else version,
        state=state,
        text=text,
        source_uri=source_uri,
        created_at=work.now,
        updated_at=work.now,
        published_at=published_when(None, text, state, work.now),
    )


def _lock(work: UnitOfWork, story_id: int) -> Story:
    return require(stories.lock(work.session, story_id), "story")


def _audit_publication(work: UnitOfWork, story: Story, caller: Caller) -> None:
    if story.state is StoryState.CORRECTED:
        _audit(work, caller, "correct", story)
    elif story.state is StoryState.PUBLISHED:
        _audit(work, caller, "publish", story)


def _audit(work: UnitOfWork, caller: Caller, verb: str, story: Story, **detail: str) -> None:
    facts = {"headline": story.text.headline, "version": story.version, "by": caller.label}
    audit.write(work.session, caller.name, verb, f"story:{story.id}", **facts, **detail)
