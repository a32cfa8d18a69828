"""ninjs 1.x, 2.x and 3.x, told apart by the `standard` member or by their marks.

1.x: `headline`, `body_*`, `description_*`, singular `subject`, objects of renditions.
2.x: arrays `headlines`, `bodies`, `subjects`, all in lower case. 3.x: the same in camelCase.
Source: JSON Schemas 1.0 to 3.1 of iptc/newsinjson.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from service.formats.incoming import Report
from service.formats.json_document import JsonObject

_CAMEL_CASE = frozenset(
    {"versionCreated", "firstCreated", "contentCreated", "embargoedUntil", "pubStatus", "altIds"}
    | {"representationType", "copyrightHolder", "copyrightNotice", "usageTerms", "edNote"}
    | {"infoSources", "trustIndicators", "rightsInfo", "digitalSourceType", "contentType"}
)
_PLURAL = frozenset(
    {"headlines", "bodies", "descriptions", "subjects", "people", "places", "organisations"}
    | {"events", "genres", "objects", "infosources", "trustindicators"}
)
_PATTERNS = ("headline_", "body_", "description_")


class NinjsVersion(IntEnum):
    """The major version of ninjs."""

    ONE = 1
    TWO = 2
    THREE = 3


@dataclass(frozen=True, slots=True)
class RoleText:
    """A headline, body or description with what it says of itself."""

    value: str
    role: str
    content_type: str
    place: str


def ninjs_version(members: dict[str, Any]) -> NinjsVersion:
    """Return the major version that a ninjs object is written in, by its marks alone."""
    if _CAMEL_CASE & members.keys() or _has_camel_case(members):
        return NinjsVersion.THREE
    if _PLURAL & members.keys() or "by" in members:
        return NinjsVersion.TWO
    if isinstance(members.get("renditions"), list) or isinstance(members.get("associations"), list):
        return NinjsVersion.TWO
    return NinjsVersion.ONE


def check_standard(item: JsonObject) -> NinjsVersion:
    """Return the major version by the `standard` member, else by marks.

    Another standard, or a major version that does not exist yet, is a flaw. An agency's own variant
    (`TTNINJS`) counts its versions its own way: its marks decide.
    """
    marks = ninjs_version(item.members)
    quiet = JsonObject(item.members, item.place, Report())
    standard = quiet.child("standard", "$standard")
    if standard is None:
        return marks
    name, version = standard.text("name"), standard.text("version").lstrip("vV")
    if name and "ninjs" not in name.lower():
        item.report.flaw(f"{standard.place}.name", f"{name[:40]!r} is not ninjs")
    if name.lower() not in ("", "ninjs"):
        return marks
    major = version.partition(".")[0]
    if major and major not in ("1", "2", "3"):
        item.report.flaw(f"{standard.place}.version", f"ninjs {version[:20]} is not known")
    return NinjsVersion(int(major)) if major in ("1", "2", "3") else marks


def role_texts(item: JsonObject, plural: str, singular: str) -> Iterator[RoleText]:
    """Yield the texts of one kind, of arrays (2.x, 3.x) or of patternProperties (1.x)."""
    _, value = item.member(plural)
    if isinstance(value, str):
        yield RoleText(item.text(plural), "main", "", f"{item.place}.{plural}")
    else:
        for entry in item.objects(plural):
            kind = entry.text("contentType", "contenttype")
            yield RoleText(
                entry.text("value"),
                entry.text("role").lower(),
                kind.lower(),
                f"{entry.place}.value",
            )
    for name in item.members:
        if name == singular or (name.startswith(f"{singular}_") and name != plural):
            role = name.removeprefix(singular).removeprefix("_").lower() or "main"
            yield RoleText(item.text(name), role, "", f"{item.place}.{name}")


def _has_camel_case(members: dict[str, Any]) -> bool:
    """Look into the arrays: `contentType` there marks 3.x as well."""
    for name in ("bodies", "headlines", "descriptions", "renditions"):
        entries = members.get(name)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and _CAMEL_CASE & entry.keys():
                return True
    return False
