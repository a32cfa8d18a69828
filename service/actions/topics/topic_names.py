"""What topics are called: codes of Media Topics for paths, labels in the language of a reader."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlmodel import Session

from service.domain.languages.language_lookup import index_texts, lookup_keys
from service.domain.topic import Topic
from service.formats.media_topic_roots import ROOT_LABELS, ROOT_PATHS
from service.formats.subjects import built_in_aliases, subject_code
from service.store.stories import topic_codes, topic_labels

ENGLISH = "en"
_ROOT_LABELS = {path: ROOT_LABELS[code] for code, path in ROOT_PATHS.items()}
_NO_LABELS: Mapping[str, str] = {}


def resolve_path(session: Session, name: str) -> str:
    """Return the path that a code (`medtop:15000000`, or its URI) stands for.

    What is no code, or stands for no topic, is returned as it is. A retired code stands for what
    is in its place.
    """
    if ":" not in name or not name.isprintable():
        return name
    code = subject_code(name)
    paths = built_in_aliases() | topic_codes.paths_of(session, [code])
    return paths.get(code, name)


def labels_in(session: Session, items: Sequence[Topic], language: str) -> list[Topic]:
    """Return the topics with their labels in a language, where they have any; else as they are.

    The languages of the 17 roots of the Media Topics are built in, but English: it is what their
    paths say, and a newsroom may have called them otherwise.
    """
    if not language or not items:
        return list(items)
    keys = list(lookup_keys(language))
    languages = {key.partition("-")[0] for key in keys}
    stored = topic_labels.of_topics(session, [topic.id for topic in items], languages)
    return [_labelled(topic, keys, stored.get(topic.id, _NO_LABELS)) for topic in items]


def capitalized(label: str) -> str:
    """Return a label of the vocabulary as ours are written: with a capital, 200 characters."""
    return label[:1].upper() + label[1:200]


def _labelled(topic: Topic, keys: Sequence[str], stored: Mapping[str, str]) -> Topic:
    built_in = _ROOT_LABELS.get(topic.path, _NO_LABELS)
    labels = {t: capitalized(built_in[t]) for t in built_in if not t.startswith(ENGLISH)}
    labels |= stored
    tags = index_texts(labels) if labels else _NO_LABELS
    tag = next((tags[key] for key in keys if key in tags), None)
    return topic if tag is None else replace(topic, label=labels[tag], language=tag)
