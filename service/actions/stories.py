"""What people and machines do with stories: ingest, save, publish, correct, retract."""

from dataclasses import dataclass, replace

from service.actions import alerts as alert_actions
from service.actions import story_text
from service.domain.errors import Conflict, Invalid, require
from service.domain.people import Caller
from service.domain.story import (
    Outcome,
    Story,
    StoryState,
    StoryText,
    judge_version,
    published_when,
    state_after,
)
from service.store.schema import new_id
from service.store.staff import audit
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork

MAX_SOURCE_URI = 2048
INSERT_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingStory:
    """A story from outside. `source_uri` is the sender's name for it."""

    text: StoryText
    state: StoryState = StoryState.PUBLISHED
    source_uri: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The story as it is now, and what the incoming text did to it."""

    story: Story
    outcome: Outcome


def ingest(work: UnitOfWork, incoming: IncomingStory, caller: Caller) -> IngestResult:
    """Take in a story, new or known by its `source_uri`; re-delivery changes nothing.

    Two simultaneous deliveries of one source make one story: the second waits for the first.
    """
    text = _edit(incoming.text, incoming.state)
    source_uri = _check_source(incoming.source_uri)
    for _ in range(INSERT_ATTEMPTS):
        if source_uri is not None:
            current = stories.lock_source(work.session, source_uri)
            if current is not None:
                return _update(work, current, text, incoming.state, incoming.version, caller)
        story = _build_story(work, text, incoming.state, source_uri, incoming.version)
        if stories.add(work.session, story, caller.name):
            topics.ensure(work.session, text.topics)
            return IngestResult(story, Outcome.CREATED)
    raise Conflict("Another delivery of this story is being taken in: send it again.")


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
    text = _edit(text, state)
    if story_id is None:
        story = _build_story(work, text, state, None, None)
        if not stories.add(work.session, story, caller.name):
            raise Conflict("The story could not be saved: try again.")
        topics.ensure(work.session, text.topics)
    else:
        current = _lock(work, story_id)
        if version is not None and version != current.version:
            raise Conflict(
                f"Somebody saved version {current.version} since you opened version {version}."
            )
        story = _update(work, current, text, state, _revival_version(current, state), caller).story
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


def _edit(text: StoryText, state: StoryState) -> StoryText:
    text = story_text.edit(text)
    if state is not StoryState.DRAFT:
        story_text.require_body(text)
    return text


def _update(
    work: UnitOfWork,
    current: Story,
    text: StoryText,
    new_state: StoryState,
    version: int | None,
    caller: Caller,
) -> IngestResult:
    """Judge a text for an existing story, and save it if it is new."""
    state = state_after(current, text, new_state, version)
    outcome, number = judge_version(current, text, state, version)
    if outcome is not Outcome.UPDATED:
        return IngestResult(current, outcome)
    story = replace(
        current,
        version=number,
        state=state,
        text=text,
        updated_at=work.now,
        published_at=published_when(current, text, state, work.now),
    )
    stories.save(work.session, story, caller.name)
    topics.ensure(work.session, text.topics)
    return IngestResult(story, outcome)


def _build_story(
    work: UnitOfWork,
    text: StoryText,
    state: StoryState,
    source_uri: str | None,
    version: int | None,
) -> Story:
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


def _check_source(source_uri: str | None) -> str | None:
    if source_uri is None:
        return None
    if not source_uri.strip() or not source_uri.isprintable():
        raise Invalid("source_uri", "Give the sender's own name of the story, such as a URI.")
    if len(source_uri) > MAX_SOURCE_URI:
        raise Invalid("source_uri", f"At most {MAX_SOURCE_URI:,} characters.")
    return source_uri.strip()


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
