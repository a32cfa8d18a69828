"""A story: a piece of news with revisions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.domain.errors import Conflict

MAX_BODY_BYTES = 1024 * 1024


class StoryState(StrEnum):
    """`corrected` is a published story whose newest revision says that it corrects."""

    DRAFT = "draft"
    PUBLISHED = "published"
    CORRECTED = "corrected"
    RETRACTED = "retracted"

    @property
    def public(self) -> bool:
        """Whether readers may see the story."""
        return self in (StoryState.PUBLISHED, StoryState.CORRECTED)


class Outcome(StrEnum):
    """What an ingested version did to the story."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryText:
    """What a revision keeps: the words and facts an editor or an agency may change.

    `body` is cleaned HTML; `topics` are paths as given, without their ancestors; `urgency` is the
    agencies' 1 (flash) to 9. `image_url` is a whole address, or the path of a picture of ours.
    """

    headline: str
    body: str
    summary: str = ""
    topics: tuple[str, ...] = ()
    language: str = "en"
    author: str = ""
    image_url: str | None = None
    image_alt: str | None = None
    urgency: int | None = None
    embargo_until: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story as it stands now: its newest revision and its state."""

    id: int
    slug: str
    version: int
    state: StoryState
    text: StoryText
    source_uri: str | None
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None


def judge_version(
    current: Story, text: StoryText, state: StoryState, version: int | None
) -> tuple[Outcome, int]:
    """Say what an incoming text of a known story does, and the version it becomes.

    Agencies re-deliver: the same version with the same text is unchanged, a lower one is ignored,
    and so is the same one with other text. Without a version a different text is the next one.
    """
    same = text == current.text and state == current.state
    if version is None:
        if same:
            return Outcome.UNCHANGED, current.version
        return Outcome.UPDATED, current.version + 1
    if version < current.version:
        return Outcome.IGNORED, current.version
    if version == current.version:
        return (Outcome.UNCHANGED if same else Outcome.IGNORED), current.version
    return Outcome.UPDATED, version


def state_after(
    current: Story, text: StoryText, new_state: StoryState, version: int | None
) -> StoryState:
    """Say which state a story takes when it comes in again as `new_state`.

    A correction stays marked as one. A retraction outlives re-delivery: only another text or an
    explicit version brings the story back. What readers have seen never becomes a draft again.
    """
    if current.state is StoryState.CORRECTED and new_state is StoryState.PUBLISHED:
        return StoryState.CORRECTED
    if current.state is StoryState.RETRACTED and version is None and text == current.text:
        return StoryState.RETRACTED
    if new_state is StoryState.DRAFT and current.state is not StoryState.DRAFT:
        raise Conflict(f"The story is {current.state}: retract it instead of making it a draft.")
    return new_state


def published_when(
    current: Story | None, text: StoryText, state: StoryState, now: datetime
) -> datetime | None:
    """Return when a story saved at `now` became or becomes public for the first time.

    Under embargo that is when the embargo lifts, and it moves with the embargo until then.
    """
    since = current.published_at if current is not None else None
    if not state.public or (since is not None and since <= now):
        return since
    return max(now, text.embargo_until or now)


def readable(story: Story, moment: datetime) -> bool:
    """Whether readers may see the story at `moment`. Expiry ends its alerts, not its page."""
    embargo = story.text.embargo_until
    return story.state.public and (embargo is None or embargo <= moment)


def why_not_pushable(story: Story, moment: datetime) -> str | None:
    """Say in one sentence why no alert of this story may go out at `moment`; None when it may."""
    if story.state is StoryState.DRAFT:
        return "The story is a draft: publish it first."
    if story.state is StoryState.RETRACTED:
        return "The story is retracted."
    if story.text.expires_at is not None and story.text.expires_at <= moment:
        return f"The story expired at {story.text.expires_at.isoformat()}."
    if story.text.embargo_until is not None and moment < story.text.embargo_until:
        return f"The story is under embargo until {story.text.embargo_until.isoformat()}."
    return None


class Order(StrEnum):
    """How a delivery stands to the last one of the same story."""

    NEWER = "newer"
    SAME = "same"
    OLDER = "older"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRevision:
    """One text of a story at its sender: the sender's own number and time, and a content hash.

    What an editor saves on the desk changes none of it. `is_kill` takes the story back.
    """

    version: int | None = None
    updated_at: datetime | None = None
    content_hash: str | None = None
    is_kill: bool = False


def compare_revisions(last: SourceRevision, incoming: SourceRevision) -> Order:
    """Say how an incoming revision stands to the last one that was taken in.

    Versions decide where both have one: a lower one is older, and so is the same one with another
    content, unless it is a kill. Without versions the sender's time decides, and without times the
    content alone.
    """
    same = last.content_hash is not None and last.content_hash == incoming.content_hash
    if last.version is not None and incoming.version is not None:
        if incoming.version > last.version:
            return Order.NEWER
        if incoming.version < last.version:
            return Order.OLDER
        if same:
            return Order.SAME
        return Order.NEWER if incoming.is_kill and not last.is_kill else Order.OLDER
    if _is_before(incoming, last):
        return Order.OLDER
    return Order.SAME if same else Order.NEWER


def follow_revision(last: SourceRevision, incoming: SourceRevision) -> SourceRevision:
    """Return what is known of the sender after a newer revision: a number or time left out stays.

    So a later delivery of the text before a kill without a number is still an older one.
    """
    return SourceRevision(
        version=last.version if incoming.version is None else incoming.version,
        updated_at=incoming.updated_at or last.updated_at,
        content_hash=incoming.content_hash,
        is_kill=incoming.is_kill,
    )


def _is_before(one: SourceRevision, other: SourceRevision) -> bool:
    return (
        one.updated_at is not None
        and other.updated_at is not None
        and one.updated_at < other.updated_at
    )
