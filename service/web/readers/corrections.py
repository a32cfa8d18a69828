"""The corrections of a story on its page: when they were made, and what it said before."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlmodel import Session

from service.domain.story import Story, StoryState, StoryText
from service.store.stories import story_revisions

_MOST_REVISIONS = 30
_MOST_CORRECTIONS = 5


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of a story: the words that it replaced, by the part of the page they stood in.

    `other` are the parts that changed without their words being shown.
    """

    at: datetime
    before: tuple[tuple[str, str], ...]
    other: tuple[str, ...]


def describe_corrections(session: Session, story: Story) -> list[Correction]:
    """Return the latest corrections of a story, the newest first."""
    if story.state is not StoryState.CORRECTED:
        return []
    revisions = story_revisions.of_story(session, story.id, _MOST_REVISIONS)
    return [
        Correction(after.saved_at, tuple(_words_before(before.text, after.text)), other)
        for after, before in pairwise(revisions)
        if after.state is StoryState.CORRECTED and before.state.public
        for other in [tuple(_other_changes(before.text, after.text))]
    ][:_MOST_CORRECTIONS]


def _words_before(before: StoryText, after: StoryText) -> Iterator[tuple[str, str]]:
    if before.headline != after.headline:
        yield "headline", before.headline
    if before.summary != after.summary and before.summary:
        yield "summary", before.summary


def _other_changes(before: StoryText, after: StoryText) -> Iterator[str]:
    if before.body != after.body:
        yield "text"
    if before.image_url != after.image_url:
        yield "picture"
