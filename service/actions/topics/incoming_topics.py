"""Which of our topics a story of a news format is about."""

from collections.abc import Mapping

from service.actions.story_text import MAX_TOPICS
from service.domain.errors import Invalid
from service.domain.topic import parse_path
from service.formats.incoming import IncomingStory, Subject
from service.formats.subjects import built_in_aliases, topic_paths
from service.formats.text import search_key
from service.store.stories import topic_codes, topics
from service.unit_of_work import UnitOfWork


def incoming_topics(
    work: UnitOfWork,
    incoming: IncomingStory,
    source_topics: tuple[str, ...],
    categories: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the topics of the source, then those that the story's subjects stand for.

    `categories` is the source's own map from names, in their search keys, and codes to paths.
    Codes of Media Topics are aliases of paths. A subject whose name or code is the path of a topic
    that exists is that topic; no other subject makes one.
    """
    paths_by_name = _paths_by_name(incoming.subjects)
    existing = topics.by_paths(work.session, set(paths_by_name.values()))
    aliases = built_in_aliases() | topic_codes.paths_of(
        work.session, {subject.code for subject in incoming.subjects if subject.code}
    )
    aliases |= {name: path for name, path in paths_by_name.items() if path in existing}
    aliases |= categories
    paths = (*source_topics, *incoming.topics, *topic_paths(incoming.subjects, aliases))
    return tuple(dict.fromkeys(paths))[:MAX_TOPICS]


def _paths_by_name(subjects: tuple[Subject, ...]) -> dict[str, str]:
    """Return the names and codes that could be a topic's path, with that path."""
    paths = {}
    for subject in subjects:
        name = search_key(subject.name)
        for key, spelling in (
            (subject.code, subject.code.rpartition(":")[2]),
            (name, name),
        ):
            path = _path_or_none(spelling)
            if key and path:
                paths[key] = path
    return paths


def _path_or_none(spelling: str) -> str | None:
    try:
        return parse_path(spelling)
    except Invalid:
        return None
