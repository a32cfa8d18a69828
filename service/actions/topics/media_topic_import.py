"""The Media Topics of IPTC as topics of ours: their tree, their labels, their codes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session

from service.actions.topics.topic_names import capitalized
from service.domain.language import parse_language
from service.domain.topic import MAX_PATH, with_ancestors
from service.formats.media_topics import ENGLISH, MediaTopic, parse_media_topics
from service.store.staff import audit
from service.store.stories import topic_codes, topic_labels, topics

_NO_BASE = frozenset({"zh-Hans", "zh-Hant"})
"""What is written in another script cannot stand for its language."""


@dataclass(frozen=True, slots=True)
class ImportedTopics:
    """How many topics are new, how many codes stand for a topic now, in how many languages."""

    new: int
    codes: int
    languages: int


def import_media_topics(
    session: Session, document: bytes, language: str, importer: str
) -> ImportedTopics:
    """Take in the official SKOS JSON; topics that exist keep their labels. Harmless when repeated.

    `language` is the newsroom's: that of the new topics' labels. Readers of the other languages of
    the document get theirs. A topic is known by its code, so another release, or the same in
    another language, finds it wherever the newsroom has moved it. A retired code stands for the
    topic that replaces it, or for the nearest above.
    Raises `MalformedDocument` naming the JSON path at fault.
    """
    vocabulary = _at_known_paths(session, parse_media_topics(document).topics)
    tag = parse_language(language)
    paths = with_ancestors(topic.path for topic in vocabulary)
    known_paths = topics.by_paths(session, paths).keys()
    topics.ensure(session, [topic.path for topic in vocabulary])
    for topic in vocabulary:
        if not topic.retired and topic.path not in known_paths:
            topics.label(session, topic.path, _label(topic, tag))
    ids = {path: topic.id for path, topic in topics.by_paths(session, paths).items()}
    codes = {_code(topic): ids[topic.path] for topic in vocabulary}
    topic_codes.save(session, codes)
    rows = _other_labels(vocabulary, ids, tag)
    topic_labels.add(session, rows)
    languages = len({language for _, language, _ in rows})
    number = len(ids) - len(known_paths)
    audit.write(session, importer, "import topics", "topics", new=number, codes=len(codes))
    return ImportedTopics(number, len(codes), languages)


def _at_known_paths(session: Session, vocabulary: Sequence[MediaTopic]) -> list[MediaTopic]:
    """Return the topics where their codes stand already; new ones below those above them."""
    known_paths = topic_codes.paths_of(session, [_code(topic) for topic in vocabulary])
    by_code: dict[str, str] = {}
    by_path: dict[str, str] = {}
    for topic in vocabulary:
        if not topic.retired:
            above = by_code.get(topic.parent or "")
            step = topic.path.rpartition("/")[2]
            below = f"{above}/{step}" if above else topic.path
            path = known_paths.get(_code(topic), below if len(below) <= MAX_PATH else topic.path)
            by_code[topic.code] = by_path[topic.path] = path
    return [replace(topic, path=by_path.get(topic.path, topic.path)) for topic in vocabulary]


def _code(topic: MediaTopic) -> str:
    return f"medtop:{topic.code}"


def _other_labels(
    vocabulary: Iterable[MediaTopic], ids: Mapping[str, int], language: str
) -> list[tuple[int, str, str]]:
    """Return topic, tag and label for every language but the one of the topics' own labels."""
    return [
        (ids[topic.path], tag, capitalized(label))
        for topic in vocabulary
        if not topic.retired
        for tag, label in _with_base_languages(topic.labels).items()
        if tag.partition("-")[0] != language.partition("-")[0]
    ]


def _with_base_languages(labels: Mapping[str, str]) -> dict[str, str]:
    """Let `en` stand for `en-GB` and `pt` for `pt-BR`, as they come first."""
    bases: dict[str, str] = {}
    for tag, label in labels.items():
        if tag not in _NO_BASE:
            bases.setdefault(tag.partition("-")[0], label)
    return bases | dict(labels)


def _label(topic: MediaTopic, language: str) -> str:
    """Return the label in a language, in its base language, or in English, with a capital."""
    tags = (language, language.partition("-")[0], *ENGLISH)
    label = next((topic.labels[tag] for tag in tags if tag in topic.labels), topic.code)
    return capitalized(label)
