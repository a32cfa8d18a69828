"""Any JSON to stories, by a map that an editor wrote: field names to JSON paths.

A path is `$.data.title`, `data.title`, `tags[*].name` or `images[0].url`; several paths parted by
`|` are tried in turn; `=text` is the text itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.formats.composing import StoryFacts, compose, publication_status
from service.formats.incoming import (
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Report,
    Stories,
)
from service.formats.json_document import (
    comparable_version,
    known_language,
    parse_json,
    whole_number,
)
from service.formats.links import absolute_link, picture_address
from service.formats.markup import body_html
from service.formats.moments import exact_moment, likely_moment, moment_of_seconds
from service.formats.subjects import make_subject
from service.formats.text import clean_text

FIELDS = (
    "uri", "version", "status", "headline", "summary", "body", "language", "author", "topics",
    "image", "image_alt", "urgency", "embargo_until", "expires_at", "published_at", "updated_at",
    "link",
)  # fmt: skip
REQUIRED = ("uri", "headline")
MAX_PATH_LENGTH = 300
MAX_VALUES = 200
MAX_STORIES = 500
_STEP = re.compile(r"\.?([A-Za-z_$@][\w$@:-]*)|\[(\d{1,4}|\*)\]|\[(?:'([^']+)'|\"([^\"]+)\")\]")
_LOWEST, _HIGHEST = 1, 9

Step = str | int | None
"""A member's name, an index, or None for every entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """A checked map. `stories` is the path of an array of stories, empty for one a delivery."""

    paths: Mapping[str, tuple[tuple[Step, ...] | str, ...]]
    sources: Mapping[str, str]
    stories: tuple[Step, ...] = ()
    statuses: Mapping[str, PublicationStatus] = field(default_factory=dict)


def make_field_map(
    fields: Mapping[str, str], *, stories: str = "", statuses: Mapping[str, str] | None = None
) -> FieldMap:
    """Check a map as it was typed; raises `MalformedDocument` naming every field at fault.

    `statuses` says what the sender's words mean: `{"live": "usable", "gone": "canceled"}`.
    """
    report = Report()
    for name in fields.keys() - set(FIELDS):
        report.flaw(name[:60], f"is no field; there are {', '.join(FIELDS)}")
    for name in REQUIRED:
        if not fields.get(name, "").strip():
            report.flaw(name, "needs a path")
    paths = {
        name: tuple(_alternatives(name, text, report))
        for name, text in fields.items()
        if name in FIELDS and text.strip()
    }
    words = {
        word.lower(): publication_status(meaning, f"statuses.{word}", report)
        for word, meaning in (statuses or {}).items()
    }
    array = _steps("stories", stories, report) if stories.strip() else ()
    if report.flaws:
        raise MalformedDocument(report.flaws)
    return FieldMap(paths=paths, sources=dict(fields), stories=array, statuses=words)


def parse_mapped(
    document: bytes, field_map: FieldMap, *, aliases: Mapping[str, str] | None = None
) -> Stories:
    """Read a delivery by a map; raises `MalformedDocument` for one that is no JSON."""
    value = parse_json(document)
    values = [value]
    if field_map.stories:
        array = next(_select(value, field_map.stories), None)
        if not isinstance(array, list) or not 0 < len(array) <= MAX_STORIES:
            fault = f"is no array of 1 to {MAX_STORIES} stories"
            raise MalformedDocument([Flaw("stories", fault)])
        values = array
    return tuple(
        _Reading(entry, field_map, f"$[{n}]" if field_map.stories else "$").story(aliases)
        for n, entry in enumerate(values)
    )


class _Reading:
    """One story read by a map; each fault names the field and the path that it has."""

    def __init__(self, value: Any, field_map: FieldMap, place: str) -> None:
        self._value, self._map, self._place = value, field_map, place
        self._report = Report()

    def story(self, aliases: Mapping[str, str] | None) -> IncomingStory | Any:
        link = absolute_link(self._text("link"), None)
        facts = StoryFacts(
            place=self._place,
            uri=self._text("uri"),
            uri_place=self._where("uri"),
            headline_place=self._where("headline"),
            version=self._version(),
            status=self._status(),
            headline=self._text("headline"),
            summary=self._text("summary"),
            body=body_html(self._text("body"), link, self._report, self._where("body")),
            language=known_language(self._text("language"), self._where("language"), self._report),
            author=", ".join(self._texts("author")),
            subjects=[self._subject(text) for text in self._texts("topics")],
            pictures=list(self._pictures(link)),
            urgency=self._urgency(),
            embargo_until=self._moment("embargo_until"),
            expires_at=self._moment("expires_at"),
            published_at=self._likely("published_at"),
            updated_at=self._likely("updated_at"),
            link=link,
        )
        return compose(facts, self._report, aliases)

    def _where(self, name: str) -> str:
        return f"{name} ({self._map.sources[name]})" if name in self._map.sources else name

    def _values(self, name: str) -> list[Any]:
        """Return the scalars of the first path that has any."""
        for path in self._map.paths.get(name, ()):
            if isinstance(path, str):
                return [path]
            values = [value for value in _select(self._value, path) if value not in (None, "")]
            flat = [entry for value in values for entry in _flat(value)][:MAX_VALUES]
            if flat:
                return flat
            if values:
                self._report.flaw(self._where(name), "is an object instead of a text")
        return []

    def _texts(self, name: str) -> list[str]:
        values = self._values(name)
        return [clean_text(v if isinstance(v, str) else _written(v)).strip() for v in values]

    def _text(self, name: str) -> str:
        return next(iter(self._texts(name)), "")

    def _version(self) -> int | None:
        value = next(iter(self._values("version")), None)
        if value is None:
            return None
        return comparable_version(value, self._where("version"), self._report)

    def _status(self) -> PublicationStatus:
        word = self._text("status").lower()
        status = self._map.statuses.get(word)
        return status or publication_status(word, self._where("status"), self._report)

    def _urgency(self) -> int | None:
        value = next(iter(self._values("urgency")), None)
        number = None if value is None else whole_number(value)
        if value is not None and (number is None or not _LOWEST <= number <= _HIGHEST):
            fault = f"{str(value)[:20]!r} is not a whole number from 1 to 9"
            self._report.flaw(self._where("urgency"), fault)
            return None
        return number

    def _moment(self, name: str) -> datetime | None:
        value = next(iter(self._values(name)), None)
        if value is None:
            return None
        moment = _of_number(value) or exact_moment(str(value))
        if moment is None:
            fault = f"{str(value)[:60]!r} is not a date and time with an offset (RFC 3339)"
            self._report.flaw(self._where(name), fault)
        return moment

    def _likely(self, name: str) -> datetime | None:
        value = next(iter(self._values(name)), None)
        moment = None if value is None else _of_number(value) or likely_moment(str(value))
        if value is not None and moment is None:
            self._report.remark(self._where(name), f"{str(value)[:60]!r} is not a date and time")
        return moment

    def _subject(self, text: str) -> Any:
        return make_subject(text if ":" in text else "", text)

    def _pictures(self, link: str | None) -> Iterator[Picture]:
        alternatives = self._texts("image_alt")
        for n, address in enumerate(self._texts("image")):
            url = picture_address(address, link)
            if url:
                yield Picture(url=url, alt=alternatives[n] if n < len(alternatives) else "")
            else:
                fault = f"no address over https: {address[:200]}"
                self._report.remark(self._where("image"), fault)


def _alternatives(name: str, text: str, report: Report) -> Iterator[tuple[Step, ...] | str]:
    if text.startswith("="):
        yield clean_text(text[1:])
        return
    for path in text.split("|"):
        yield _steps(name, path.strip(), report)


def _steps(name: str, path: str, report: Report) -> tuple[Step, ...]:
    text = path.removeprefix("$") if path[:2] in ("$", "$.", "$[") else path
    steps: list[Step] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None or len(path) > MAX_PATH_LENGTH:
            report.flaw(name, f"{path[:80]!r} is not a JSON path (at {text[position:][:20]!r})")
            return ()
        member, index = step[1] or step[3] or step[4], step[2]
        steps.append(member or (None if index == "*" else int(index)))
        position = step.end()
    return tuple(steps)


def _select(value: Any, steps: tuple[Step, ...]) -> Iterator[Any]:
    values = [value]
    for step in steps:
        values = [inner for outer in values for inner in _inside(outer, step)][: MAX_VALUES * 10]
    return iter(values)


def _inside(value: Any, step: Step) -> list[Any]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    if not isinstance(value, list):
        return []
    return value if step is None else value[step : step + 1]


def _flat(value: Any) -> list[Any]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, str | int | float) and entry != ""]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_number(value: Any) -> datetime | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return moment_of_seconds(value) if is_number else None
