"""What several pages look up: the labels of topics, the site's sections, the next story."""

from collections.abc import Iterable, Sequence

from sqlmodel import Session

from service.actions.topics.topic_names import labels_in
from service.domain.language import language_name
from service.domain.story import Story
from service.domain.topic import STORY_PREFIX, Topic
from service.store.stories import sections, stories, story_languages, topics
from service.store.stories import topic_labels as topic_labels_store

MAX_SECTIONS = 14
MAX_SITE_LANGUAGES = 12
MAX_RELATED_TOPICS = 2


def topic_labels(session: Session, paths: Iterable[str], language: str = "") -> dict[str, str]:
    """Return the label of each topic that exists; a followed story is named by its headline.

    Labels are in the language, where they have any.
    """
    unique = sorted(set(paths))
    items = labels_in(session, list(topics.by_paths(session, unique).values()), language)
    labels = {topic.path: topic.label for topic in items}
    tails = {p: p.removeprefix(STORY_PREFIX) for p in unique if p.startswith(STORY_PREFIX)}
    story_ids = {path: int(tail) for path, tail in tails.items() if tail.isdigit()}
    stories_by_id = stories.many(session, set(story_ids.values())) if story_ids else {}
    for path, story_id in story_ids.items():
        if story_id in stories_by_id:
            labels[path] = stories_by_id[story_id].text.headline
    return labels


def story_labels(session: Session, items: Sequence[Story]) -> dict[str, str]:
    """Return the labels of the stories' topics."""
    return topic_labels(session, (path for story in items for path in story.text.topics))


def own_labels(session: Session, story: Story) -> tuple[dict[str, str], str]:
    """Return the labels of a story's topics in its own language, and in which they are.

    They are in English, as pages are, unless all of them have one in the story's language.
    """
    items = list(topics.by_paths(session, story.text.topics).values())
    own = labels_in(session, items, story.text.language)
    if own and all(topic.language for topic in own):
        return {topic.path: topic.label for topic in own}, story.text.language
    return {topic.path: topic.label for topic in items}, "en"


def label_languages(session: Session, items: Sequence[Topic]) -> list[str]:
    """Return the languages in which topics have labels, each once, whatever its variants."""
    tags = topic_labels_store.languages_of(session, [topic.id for topic in items])
    return sorted({tag.partition("-")[0] for tag in tags}, key=language_name)


def list_sections(session: Session) -> list[Topic]:
    """Return the topics of the site's navigation."""
    return sections.list_sections(session, MAX_SECTIONS)


def site_languages(session: Session) -> list[str]:
    """Return the languages that the site's stories are in, the most frequent first."""
    return story_languages.languages_in_use(session, MAX_SITE_LANGUAGES)


def next_story(session: Session, story: Story) -> Story | None:
    """Return what to read next: the next older story of its first topic, else of all topics.

    It is in the language of this one: who reads this story can read it. After the oldest story
    comes the newest. None if there is no other story in this language.
    """
    language = story.text.language
    for path in story.text.topics[:1]:
        next_in_topic = stories.next_older(session, story, path, language)
        if next_in_topic is not None:
            return next_in_topic
    next_of_all = stories.next_older(session, story, language=language)
    if next_of_all is not None:
        return next_of_all
    newest = stories.newest(session, limit=1, language=language).items
    return newest[0] if newest and newest[0].id != story.id else None


def related_stories(
    session: Session, story: Story, next_story: Story | None, limit: int
) -> list[Story]:
    """Return the newest other stories of its topics, in its language; the next one is left out."""
    left_out = {story.id} | ({next_story.id} if next_story else set())
    related: dict[int, Story] = {}
    for path in story.text.topics[:MAX_RELATED_TOPICS]:
        page = stories.newest(
            session, path, limit=limit + len(left_out), language=story.text.language
        )
        related |= {one.id: one for one in page.items if one.id not in left_out}
    newest = sorted(related.values(), key=lambda one: one.published_at or one.created_at)
    return newest[::-1][:limit]
