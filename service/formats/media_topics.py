"""The IPTC Media Topics as topics of ours, from the official SKOS JSON (`cptall-*.json`)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service.domain.errors import Invalid
from service.domain.language import parse_locale
from service.domain.topic import MAX_PATH, STORY_PREFIX
from service.formats.incoming import Flaw, MalformedDocument, Report
from service.formats.json_document import JsonObject, parse_json
from service.formats.media_topic_roots import ROOT_PATHS
from service.formats.moments import likely_moment
from service.formats.subjects import built_in_aliases
from service.formats.text import clean_text

MAX_VOCABULARY_BYTES = 16 * 1024 * 1024
MAX_VOCABULARY_TEXTS = 1_000_000
MAX_LEVELS = 12
_CODE = re.compile(r"(?:https?://cv\.iptc\.org/newscodes/mediatopic/|medtop:)(\d{8})")
_MENTION = re.compile(r"medtop:(\d{8})|mediatopic/(\d{8})|\b(2\d{7})\b")
_LANGUAGES = {"se": "sv", "dk": "da", "no-NB": "nb", "no-NN": "nn"}
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_RESERVED = STORY_PREFIX.rstrip("/")
ENGLISH = ("en-GB", "en-US", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTopic:
    """One topic of the vocabulary. Codes are eight digits; labels are by BCP 47 tag.

    A retired topic has no path of its own: `path` is that of the topic in its place, or of the
    nearest one above that is in use.
    """

    code: str
    path: str
    labels: Mapping[str, str]
    parent: str | None
    retired: bool = False
    replacement: str | None = None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All topics, parents before children, and when IPTC released them."""

    topics: tuple[MediaTopic, ...]
    released_at: datetime | None

    @property
    def aliases(self) -> dict[str, str]:
        """Topic paths by code, `medtop:20000344`; retired codes lead to what replaces them."""
        return built_in_aliases() | {f"medtop:{topic.code}": topic.path for topic in self.topics}


def parse_media_topics(document: bytes) -> Vocabulary:
    """Read the official SKOS JSON, in one language or in all.

    Raises `MalformedDocument` naming the JSON path of what is wrong.
    """
    value = parse_json(document, MAX_VOCABULARY_BYTES, MAX_VOCABULARY_TEXTS)
    report = Report()
    if not isinstance(value, dict):
        raise MalformedDocument([Flaw("$", "is no concept scheme")])
    scheme = JsonObject(value, "$", report)
    rows = {row.code: row for row in _rows(scheme, report)}
    if not rows and not report.flaws:
        report.flaw("$.conceptSet", "holds no Media Topic")
    if report.flaws:
        raise MalformedDocument(report.flaws)
    rows = {code: replace(row, parent=_known_parent(row, rows)) for code, row in rows.items()}
    paths = _paths(rows)
    topics = [_located(row, rows, paths) for row in rows.values()]
    topics.sort(key=lambda topic: (topic.retired, topic.path.count("/"), topic.code))
    return Vocabulary(tuple(topics), likely_moment(scheme.text("dateReleased")))


def _rows(scheme: JsonObject, report: Report) -> Iterator[MediaTopic]:
    for concept in scheme.objects("conceptSet"):
        match = _CODE.fullmatch(concept.text("uri") or concept.text("qcode"))
        if match is None:
            report.flaw(f"{concept.place}.uri", "is not the URI of a Media Topic")
            continue
        labels = _labels(concept)
        if not labels:
            report.flaw(f"{concept.place}.prefLabel", "holds no label")
            continue
        is_retired = bool(concept.members.get("retired"))
        yield MediaTopic(
            code=match[1],
            path="",
            labels=labels,
            parent=_code_of(concept.members.get("broader")),
            retired=is_retired,
            replacement=_replacement(concept, match[1]) if is_retired else None,
        )


def _labels(concept: JsonObject) -> dict[str, str]:
    labels = concept.child("prefLabel")
    pairs = labels.members.items() if labels else ()
    return {
        tag: clean_text(label).strip()
        for language, label in pairs
        if isinstance(label, str) and label.strip() and (tag := _tag(language))
    }


def _tag(language: str) -> str | None:
    try:
        return parse_locale(_LANGUAGES.get(language, language))
    except Invalid:
        return None


def _code_of(broader: Any) -> str | None:
    first = broader[0] if isinstance(broader, list) and broader else broader
    match = _CODE.fullmatch(first) if isinstance(first, str) else None
    return match[1] if match else None


def _replacement(concept: JsonObject, code: str) -> str | None:
    """Return the one other topic that the change note of a retired one names."""
    notes = concept.members.get("changeNote")
    words = " ".join(map(str, notes.values())) if isinstance(notes, dict) else str(notes or "")
    codes = {next(filter(None, mention.groups())) for mention in _MENTION.finditer(words)}
    others = codes - {code}
    return others.pop() if len(others) == 1 else None


def _known_parent(row: MediaTopic, rows: Mapping[str, MediaTopic]) -> str | None:
    if row.parent is None or row.parent not in rows:
        return None
    above = rows.get(row.parent)
    for _ in range(MAX_LEVELS):
        if above is None or above.code == row.code:
            break
        above = rows.get(above.parent or "")
    return row.parent if above is None else None


def _paths(rows: Mapping[str, MediaTopic]) -> dict[str, str]:
    """Give each topic in use a path: the roots ours, all below words of their English labels."""
    paths: dict[str, str] = {}
    owners: dict[str, str] = {}

    def locate(code: str) -> str:
        if code not in paths:
            row = rows[code]
            above = "" if row.parent is None else locate(row.parent) + "/"
            path = ROOT_PATHS.get(code) or above + _word(row)
            is_taken = owners.get(path, code) != code or path.split("/")[0] == _RESERVED
            if len(path) > MAX_PATH or is_taken:
                path = f"{above}{code}"
            paths[code] = path if len(path) <= MAX_PATH else f"{path.split('/')[0]}/{code}"
            owners[paths[code]] = code
        return paths[code]

    for code in sorted(rows):
        if not rows[code].retired:
            locate(code)
    return paths


def _word(row: MediaTopic) -> str:
    label = next((row.labels[tag] for tag in ENGLISH if tag in row.labels), "")
    word = _NOT_WORD.sub("-", label.lower().replace("'", "").replace("\u2019", "")).strip("-")
    return word or row.code


def _located(
    row: MediaTopic, rows: Mapping[str, MediaTopic], paths: Mapping[str, str]
) -> MediaTopic:
    if not row.retired:
        return replace(row, path=paths[row.code])
    place, steps = row, 0
    while place.retired and steps < MAX_LEVELS:
        successor = rows.get(place.replacement or "") or rows.get(place.parent or "")
        if successor is None:
            break
        place, steps = successor, steps + 1
    root = f"{row.code[:2]}000000"
    path = paths.get(place.code) or ROOT_PATHS.get(root) or "retired-media-topics"
    replacement = place.code if not place.retired else None
    return replace(row, path=path, replacement=replacement)
