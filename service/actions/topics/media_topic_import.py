"""The Media Topics of IPTC as topics of ours: their tree, labels in one language, their codes."""

from dataclasses import dataclass

from sqlmodel import Session

from service.domain.language import parse_language
from service.domain.topic import with_ancestors
from service.formats.media_topics import ENGLISH, MediaTopic, parse_media_topics
from service.store.staff import audit
from service.store.stories import topic_codes, topics


@dataclass(frozen=True, slots=True)
class ImportedTopics:
    """How many topics are new, and how many codes stand for a topic now."""

    new: int
    codes: int


def import_media_topics(
    session: Session, document: bytes, language: str, importer: str
) -> ImportedTopics:
    """Take in the official SKOS JSON; topics that exist keep their labels. Harmless when repeated.

    Raises `MalformedDocument` naming the JSON path at fault. A retired code stands for the topic
    that replaces it, or for the nearest above.
    """
    vocabulary = parse_media_topics(document)
    tag = parse_language(language)
    paths = with_ancestors(topic.path for topic in vocabulary.topics)
    known_paths = topics.by_paths(session, paths).keys()
    topics.ensure(session, [topic.path for topic in vocabulary.topics])
    for topic in vocabulary.topics:
        if not topic.retired and topic.path not in known_paths:
            topics.label(session, topic.path, _label(topic, tag))
    ids = {path: topic.id for path, topic in topics.by_paths(session, paths).items()}
    codes = {code: ids[path] for code, path in vocabulary.aliases.items() if path in ids}
    topic_codes.save(session, codes)
    number = len(ids) - len(known_paths)
    audit.write(session, importer, "import topics", "topics", new=number, codes=len(codes))
    return ImportedTopics(number, len(codes))


def _label(topic: MediaTopic, language: str) -> str:
    """Return the label in a language, in its base language, or in English, with a capital."""
    tags = (language, language.partition("-")[0], *ENGLISH)
    label = next((topic.labels[tag] for tag in tags if tag in topic.labels), topic.code)
    return label[:1].upper() + label[1:200]
