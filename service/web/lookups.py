"""What several pages look up: labels of topics, neighbours of a story."""

from collections.abc import Iterable, Sequence

from sqlmodel import Session

from service.domain.story import Story
from service.domain.topic import STORY_PREFIX, Topic
from service.store.stories import stories, topics

MOST_SECTIONS = 14


def labels_of(session: Session, paths: Iterable[str]) -> dict[str, str]:
    """Return the label of each path that is known; a followed story is named by its headline."""
    wanted = sorted(set(paths))
    known = {path: topic.label for path, topic in topics.by_paths(session, wanted).items()}
    own = {p: p.removeprefix(STORY_PREFIX) for p in wanted if p.startswith(STORY_PREFIX)}
    ids = {int(text) for text in own.values() if text.isdigit()}
    found = stories.many(session, ids) if ids else {}
    for path, text in own.items():
        if text.isdigit() and int(text) in found:
            known[path] = found[int(text)].text.headline
    return known


def labels(session: Session, found: Sequence[Story]) -> dict[str, str]:
    """Return the labels of the stories' topics."""
    return labels_of(session, (path for story in found for path in story.text.topics))


def sections(session: Session) -> list[Topic]:
    """Return the topics of the site's navigation."""
    return topics.list_sections(session, MOST_SECTIONS)


def next_story(session: Session, story: Story) -> Story | None:
    """Return what to read next: the next older of the same topic, of all, else the newest of all.

    None only where there is no other story.
    """
    for path in story.text.topics[:1]:
        following = stories.next_older(session, story, path)
        if following is not None:
            return following
    following = stories.next_older(session, story)
    if following is not None:
        return following
    first = stories.newest(session, limit=1).items
    return first[0] if first and first[0].id != story.id else None
