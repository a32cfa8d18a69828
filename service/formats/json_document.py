"""JSON from strangers: bounded in size and depth, read member by member, every fault named."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.errors import Invalid, TooLarge
from service.domain.language import parse_locale
from service.formats.incoming import MAX_VERSION, Flaw, MalformedDocument, Report
from service.formats.moments import exact_moment, likely_moment
from service.formats.text import clean_text

MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_JSON_CONTAINERS = 200_000
MAX_JSON_TEXTS = 100_000
"""Names and texts; all other threads wait while they are parsed."""
MAX_JSON_DEPTH = 64
MOST_URGENT = 1
LEAST_URGENT = 9
_MOST_DIGITS = 18


def parse_json(
    document: bytes, max_bytes: int = MAX_JSON_BYTES, max_texts: int = MAX_JSON_TEXTS
) -> Any:
    """Return the value of a JSON text in UTF-8, UTF-16 or UTF-32.

    Raises `TooLarge` before parsing, `MalformedDocument` naming line and column.
    """
    if len(document) > max_bytes:
        raise TooLarge(f"At most {max_bytes:,} bytes; these are {len(document):,}.")
    if document.count(b"{") + document.count(b"[") > MAX_JSON_CONTAINERS:
        raise TooLarge(f"At most {MAX_JSON_CONTAINERS:,} objects and arrays.")
    if document.count(b'"') - document.count(b'\\"') > 2 * max_texts:
        raise TooLarge(f"At most {max_texts:,} names and texts.")
    try:
        value = json.loads(document, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise MalformedDocument([Flaw("$", f"is not JSON ({position}: {error.msg})")]) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise MalformedDocument([Flaw("$", f"is not JSON ({str(error)[:200]})")]) from None
    if _depth_exceeds(value, MAX_JSON_DEPTH):
        raise _too_deep()
    return value


def _too_deep() -> MalformedDocument:
    return MalformedDocument([Flaw("$", f"nests more than {MAX_JSON_DEPTH} deep")])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _depth_exceeds(value: Any, deepest: int) -> bool:
    level = [value]
    for _ in range(deepest + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object and where it stands; readings of a wrong type are flaws in `report`.

    Every reading takes the spellings that a member may have; the first that is there and not null
    counts.
    """

    members: dict[str, Any]
    place: str
    report: Report

    def member(self, *names: str) -> tuple[str, Any]:
        """Return the path and the value of the first member that is there; None if none is."""
        for name in names:
            value = self.members.get(name)
            if value is not None:
                return path_of(self.place, name), value
        return path_of(self.place, names[0]), None

    def text(self, *names: str) -> str:
        """Return a string member, empty without one. Numbers count as they are written."""
        place, value = self.member(*names)
        if isinstance(value, str):
            return clean_text(value).strip()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            self.report.flaw(place, f"is {kind_of(value)} instead of a string")
        return ""

    def exact_moment(self, *names: str) -> datetime | None:
        """Return a date-time with an offset; anything else is a flaw: nothing is guessed."""
        place, _ = self.member(*names)
        text = self.text(*names)
        moment = exact_moment(text)
        if text and moment is None:
            self.report.flaw(
                place, f"{text[:60]!r} is not a date and time with an offset (RFC 3339)"
            )
        return moment

    def likely_moment(self, *names: str) -> datetime | None:
        """Return a moment that decides nothing about publishing; an unreadable one is a remark."""
        place, _ = self.member(*names)
        text = self.text(*names)
        moment = likely_moment(text)
        if text and moment is None:
            self.report.remark(place, f"{text[:60]!r} is not a date and time")
        return moment

    def objects(self, *names: str) -> Iterator["JsonObject"]:
        """Yield the objects of an array, or of an object's members; one object counts as one."""
        place, value = self.member(*names)
        if value is None:
            return
        if not isinstance(value, list):
            self.report.flaw(place, f"is {kind_of(value)} instead of an array")
            return
        for index, entry in enumerate(value):
            if isinstance(entry, dict):
                yield JsonObject(entry, f"{place}[{index}]", self.report)
            else:
                self.report.flaw(f"{place}[{index}]", f"is {kind_of(entry)} instead of an object")

    def named_objects(self, *names: str) -> Iterator[tuple[str, "JsonObject"]]:
        """Yield names and objects, of an object of objects or an array of objects with `name`."""
        place, value = self.member(*names)
        if isinstance(value, dict):
            for name, entry in value.items():
                if isinstance(entry, dict):
                    yield name, JsonObject(entry, path_of(place, name), self.report)
                elif entry is not None:
                    self.report.flaw(path_of(place, name), f"is {kind_of(entry)}, not an object")
            return
        for entry in self.objects(*names):
            yield entry.text("name"), entry

    def child(self, *names: str) -> "JsonObject | None":
        """Return an object member; another type is a flaw."""
        place, value = self.member(*names)
        if isinstance(value, dict):
            return JsonObject(value, place, self.report)
        if value is not None:
            self.report.flaw(place, f"is {kind_of(value)} instead of an object")
        return None

    def urgency(self, *names: str) -> int | None:
        """Return the agencies' urgency, 1 (flash) to 9."""
        place, value = self.member(*names)
        if value is None:
            return None
        number = whole_number(value)
        if number is None or not MOST_URGENT <= number <= LEAST_URGENT:
            self.report.flaw(place, f"{str(value)[:20]!r} is not a whole number from 1 to 9")
            return None
        return number

    def version(self, *names: str) -> int | None:
        """Return a version that can be compared; another one is a remark and counts as none."""
        place, value = self.member(*names)
        return None if value is None else comparable_version(value, place, self.report)

    def language(self, *names: str) -> str | None:
        """Return a language tag in its usual spelling; another text is a flaw."""
        place, _ = self.member(*names)
        return known_language(self.text(*names), place, self.report)


def path_of(place: str, name: str) -> str:
    """Return the JSON path of a member."""
    plain = name.isidentifier() or (name[:1] == "$" and name[1:].isidentifier())
    return f"{place}.{name}" if plain else f"{place}[{json.dumps(name[:60])}]"


def kind_of(value: object) -> str:
    """Name the JSON type of a value, with its article."""
    kinds = {bool: "a boolean", dict: "an object", list: "an array", str: "a string"}
    return "null" if value is None else kinds.get(type(value), "a number")


def whole_number(value: object) -> int | None:
    """Return a whole number, also when it is written as `3.0` or `"3"`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, int):
        return value
    digits = value.strip() if isinstance(value, str) else ""
    return (
        int(digits)
        if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
        else None
    )


def comparable_version(value: object, place: str, report: Report) -> int | None:
    """Return a version number from 0 to 2147483647; what is none is a remark."""
    text = value.strip().removesuffix(".0") if isinstance(value, str) else value
    number = whole_number(text)
    if number is None or not 0 <= number <= MAX_VERSION:
        report.remark(place, f"{str(value)[:40]!r} is no version number: the date decides")
        return None
    return number


def known_language(text: str, place: str, report: Report) -> str | None:
    """Return a BCP 47 tag in its usual spelling, None for none; another text is a flaw."""
    if not text:
        return None
    try:
        return parse_locale(text)
    except Invalid as error:
        report.flaw(place, error.detail.rstrip("."))
        return None
