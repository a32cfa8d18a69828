"""How stories come in from outside: one verb for our own API, one for every news format."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.actions import stories as story_actions
from service.actions.stories import SavedStory
from service.actions.story_text import MAX_IMAGE_ALT
from service.actions.topics.incoming_topics import incoming_topics
from service.domain.errors import Conflict, Invalid
from service.domain.people import Caller
from service.domain.story import (
    Order,
    Outcome,
    SourceRevision,
    Story,
    StoryState,
    StoryText,
    compare_revisions,
    follow_revision,
)
from service.formats.composing import plain_uri
from service.formats.incoming import MAX_URI, IncomingStory
from service.formats.links import absolute_link
from service.store.stories import received_stories, stories
from service.unit_of_work import UnitOfWork

INSERT_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StorySubmission:
    """A story as our own API takes it. `source_uri` is the sender's name for it."""

    text: StoryText
    state: StoryState = StoryState.PUBLISHED
    source_uri: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """What a source may do: `scope` is put before names that are no URI of their own.

    `categories` maps the sender's words, by their search keys, to topic paths.
    """

    scope: str = ""
    publish: bool = True
    topics: tuple[str, ...] = ()
    categories: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a story of a news format; `story` is None for a kill of one we never had."""

    story: Story | None
    outcome: Outcome


def ingest(work: UnitOfWork, submission: StorySubmission, caller: Caller) -> SavedStory:
    """Take in a story, new or known by its `source_uri`; re-delivery changes nothing.

    Two simultaneous deliveries of one source make one story: the second waits for the first.
    """
    source_uri = check_source(submission.source_uri)
    base = absolute_link(source_uri, None) if source_uri else None
    text = story_actions.edit_text(submission.text, submission.state, base)
    state, version = submission.state, submission.version
    for _ in range(INSERT_ATTEMPTS):
        if source_uri is not None:
            current = stories.lock_source(work.session, source_uri)
            if current is not None:
                return story_actions.update_story(work, current, text, state, version, caller)
        story = story_actions.build_story(work, text, state, source_uri, version)
        if stories.add(work.session, story, caller.name):
            story_actions.ensure_topics(work, story)
            return SavedStory(story, Outcome.CREATED)
    raise Conflict("Another delivery of this story is being taken in: send it again.")


def ingest_incoming(
    work: UnitOfWork, incoming: IncomingStory, rules: SourceRules, caller: Caller
) -> IngestResult:
    """Take in a story of any news format; the caller has locked its name by `lock_names`.

    The same revision again is unchanged, an older one ignored, whatever an editor has saved since.
    A kill takes the story back and stops its alerts; a kill of an unknown story keeps its older
    texts out. Nothing here sends an alert.
    """
    uri = source_name(incoming, rules)
    current = stories.lock_source(work.session, uri)
    last = _last_revision(work, uri, current, incoming)
    revision = _revision_of(incoming)
    order = compare_revisions(last, revision)
    if order is not Order.NEWER:
        outcome = Outcome.UNCHANGED if order is Order.SAME else Outcome.IGNORED
        return IngestResult(current, outcome)
    if incoming.is_kill:
        result = _kill(work, current, caller)
    else:
        result = _save(work, uri, current, incoming, rules, caller)
    received_stories.save_revision(
        work.session,
        uri,
        follow_revision(last, revision),
        result.story.id if result.story else None,
        caller.name,
    )
    return result


def lock_names(work: UnitOfWork, incoming_stories: list[IncomingStory], rules: SourceRules) -> None:
    """Lock the names of a document's stories in one order, so that no two documents deadlock."""
    names = [source_name(incoming, rules) for incoming in incoming_stories]
    received_stories.lock(work.session, names)


def source_name(incoming: IncomingStory, rules: SourceRules) -> str:
    """Return the name by which a story is stored: a bare id gets its source's scope before it."""
    name = incoming.uri
    if rules.scope and not incoming.uri_is_global:
        name = f"{rules.scope}:{name}"
    return name[:MAX_URI]


def check_source(source_uri: str | None) -> str | None:
    """Return a sender's own name of a story in NFC; raises `Invalid` for one that is none."""
    if source_uri is None:
        return None
    if not source_uri.strip() or not source_uri.isprintable():
        raise Invalid("source_uri", "Give the sender's own name of the story, such as a URI.")
    name = plain_uri(source_uri)
    if len(name) > MAX_URI:
        raise Invalid("source_uri", f"At most {MAX_URI:,} characters.")
    return name


def _last_revision(
    work: UnitOfWork, uri: str, current: Story | None, incoming: IncomingStory
) -> SourceRevision:
    """Return what the sender last sent; of a story that our own API took in, its version."""
    last = received_stories.last_revision(work.session, uri)
    if last is not None:
        return last
    if current is None or incoming.is_kill:
        return SourceRevision()
    return SourceRevision(version=current.version)


def _revision_of(incoming: IncomingStory) -> SourceRevision:
    return SourceRevision(
        version=incoming.version,
        updated_at=incoming.updated_at,
        content_hash=incoming.content_hash,
        is_kill=incoming.is_kill,
    )


def _kill(work: UnitOfWork, current: Story | None, caller: Caller) -> IngestResult:
    if current is None:
        return IngestResult(None, Outcome.IGNORED)
    was_retracted = current.state is StoryState.RETRACTED
    story = story_actions.retract(work, current.id, caller, "The sender took it back.")
    return IngestResult(story, Outcome.UNCHANGED if was_retracted else Outcome.UPDATED)


def _save(
    work: UnitOfWork,
    uri: str,
    current: Story | None,
    incoming: IncomingStory,
    rules: SourceRules,
    caller: Caller,
) -> IngestResult:
    state = _state_for(current, incoming, rules)
    text = _text_of(work, incoming, rules)
    if current is None:
        submission = StorySubmission(
            text=text, state=state, source_uri=uri, version=incoming.version
        )
        saved = ingest(work, submission, caller)
        return IngestResult(saved.story, saved.outcome)
    text = story_actions.edit_text(text, state, incoming.link)
    if incoming.version is None and text == current.text and state is current.state:
        return IngestResult(current, Outcome.UNCHANGED)
    version = max(current.version + 1, incoming.version or 0)
    saved = story_actions.update_story(work, current, text, state, version, caller)
    return IngestResult(saved.story, saved.outcome)


def _state_for(current: Story | None, incoming: IncomingStory, rules: SourceRules) -> StoryState:
    """Return the state that a newer text gives its story.

    What an editor has published follows its sender. What is retracted comes back only by a source
    that may publish: a draft does not undo a retraction.
    """
    public = current is not None and current.state.public
    if public and incoming.is_correction:
        return StoryState.CORRECTED
    if public or rules.publish:
        return StoryState.PUBLISHED
    return StoryState.DRAFT if current is None else current.state


def _text_of(work: UnitOfWork, incoming: IncomingStory, rules: SourceRules) -> StoryText:
    return StoryText(
        headline=incoming.headline,
        summary=incoming.summary,
        body=incoming.body,
        topics=incoming_topics(work, incoming, rules.topics, rules.categories),
        language=incoming.language or rules.language,
        author=incoming.author,
        image_url=incoming.image.url if incoming.image else None,
        image_alt=incoming.image.alt[:MAX_IMAGE_ALT] if incoming.image else None,
        urgency=incoming.urgency,
        embargo_until=incoming.embargo_until,
        expires_at=incoming.expires_at,
    )
