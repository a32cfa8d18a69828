"""Requests of the pages: every route that the API's document leaves out, and its fields.

A form's fields come from FastAPI's own analysis of the route, so a new page is called too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import strategies as st
from pydantic import BaseModel

MOMENTS = (
    *("2026-11-30T07:00", "2026-11-30T07:00:00Z", "0001-01-01T00:00+14:00", "0001-01-01T00:00"),
    *("9999-12-31T23:59-14:00", "9999-12-31T23:59", "10000-01-01T00:00", "2016-12-31T23:59:60Z"),
    *(
        "2026-02-30T00:00",
        "2026-11-30",
        "9999-12-31",
        "0001-01-01",
        "07:00",
        "23:59+23:59",
        "24:00",
    ),
    *("2026-11", "0000-00", "9999-12", "2026-11-30T07:00:00.123456789Z", "2026-W48-1", "-1", "1e9"),
)
HOSTILE = (
    *("", " ", "\0", "\r\nX: y", "'\"><script>x()</script>", "{{7*7}}", "%s%n", "../../etc/passwd"),
    *("9" * 19, "9" * 30, "-9" * 10, "1e400", "NaN", "\ud7ff", "\U0001f4a9" * 300, "a" * 5000),
    *("javascript:x()", "//evil.example", "/\\evil.example", "http://127.0.0.1:1/", "null", "[]"),
)
LEFT_OUT = ""
FIELDS = {
    "headline": "Rain at last",
    "title": "Rain at last",
    "body": "It rains.",
    "topics": "world",
    "source": "world",
    "language": "en",
    "timezone": "Asia/Kolkata",
    "zone": "Asia/Kolkata",
    "ttl": "14400",
    "spread": "0",
    "email": "someone@news.example",
    "password": "correct horse battery staple",
    "present": "correct horse battery staple",
    "again": "correct horse battery staple",
    "role": "editor",
    "scope": "stories:write",
    "urgency": "normal",
    "mode": "first",
    "audience": "story",
    "confirm": "yes",
    "do": "save",
    "when": "now",
    "reason": "because",
    "least_urgency": "normal",
    "quiet_from": "22:00",
    "quiet_to": "07:00",
    "alerts_per_day": "5",
    "mute_hours": "8",
    "languages": "en",
    "state": LEFT_OUT,
    "cursor": LEFT_OUT,
    "before": LEFT_OUT,
    "left": LEFT_OUT,
    "right": LEFT_OUT,
    "span": "day",
    "only": "system",
    "next": "/desk",
    "back": "/me",
    "kind": "custom",
    "publish": "on",
    "alert": LEFT_OUT,
    "embargo_until": "2026-11-30T07:00",
    "expires_at": "2036-11-30T07:00",
    "send_at": "2036-11-30T07:00",
    "local_time": "07:00",
    "local_day": LEFT_OUT,
    "image_url": LEFT_OUT,
    "lang": LEFT_OUT,
    "undone": LEFT_OUT,
    "provider": LEFT_OUT,
    "target": LEFT_OUT,
    "size": "192",
    "version": "1",
}
BROKEN_BODIES = (
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--"),
    ("application/x-www-form-urlencoded", b"a=%zz&&=&\xff\xfe=%00"),
    ("application/x-www-form-urlencoded; charset=nope", b"csrf=%ff"),
    ("application/json", b'{"a":'),
    ("text/xml", b"<a>"),
    ("", b"x"),
)
_PARAMETER = re.compile(r"\{([a-z_]+)(?::path)?\}")


@dataclass(frozen=True)
class PageCall:
    """One page's route: its fields in the query and in the form, and what each may be."""

    method: str
    path: str
    query: dict[str, tuple[str, ...]] = field(default_factory=dict)
    form: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    def address(self, values: dict[str, str]) -> str:
        return _PARAMETER.sub(lambda name: values.get(name[1], "1"), self.path)


def page_calls(app: FastAPI) -> list[PageCall]:
    """Return a call of every page and method."""
    routes = [r for r in app.routes if isinstance(r, APIRoute) and not r.include_in_schema]
    return [
        PageCall(method, route.path, _fields(route.dependant, "query_params"), _forms(route))
        for route in routes
        for method in sorted(route.methods - {"HEAD"})
    ]


def values_of(fields: dict[str, tuple[str, ...]], things: dict[str, str]) -> Any:
    """Return a strategy of a request's fields: all of them sound, or any of them anything."""
    strange = st.one_of(st.sampled_from(HOSTILE), st.sampled_from(MOMENTS), st.text(max_size=40))
    sound = {
        name: st.sampled_from(choices or (things.get(name) or FIELDS.get(name, "1"),))
        for name, choices in fields.items()
        if FIELDS.get(name) != LEFT_OUT
    }
    mixed = {name: st.one_of(sound.get(name, strange), strange) for name in fields}
    return st.one_of(st.fixed_dictionaries(sound), st.fixed_dictionaries({}, optional=mixed))


def _forms(route: APIRoute) -> dict[str, tuple[str, ...]]:
    return _fields(route.dependant, "body_params")


def _fields(dependant: Any, place: str) -> dict[str, tuple[str, ...]]:
    fields = {}
    for each in _all_of(dependant, place):
        model = each.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, info in model.model_fields.items():
                fields[info.alias or name] = _choices(info.annotation)
        else:
            fields[each.alias] = _choices(model)
    return fields


def _all_of(dependant: Any, place: str) -> Iterator[Any]:
    yield from getattr(dependant, place)
    for below in dependant.dependencies:
        yield from _all_of(below, place)


def _choices(annotation: Any) -> tuple[str, ...]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return ()
