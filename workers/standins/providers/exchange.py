"""What goes between a server and a stand-in: a request, an answer, or a broken promise of one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Header = tuple[str, str]
JSON_TYPE: Header = ("content-type", "application/json; charset=UTF-8")
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Fate(StrEnum):
    """What becomes of a request that gets no answer."""

    HANG = "hang"
    """Nothing comes, until the client gives up."""
    RESET = "reset"
    """Its stream is reset; over HTTP/1.1 its connection is."""
    REFUSED_STREAM = "refused_stream"
    """Its stream is refused: the one reset that says nothing was read."""
    DISCONNECT = "disconnect"
    """Its whole connection is cut, and everything in flight with it."""


@dataclass(slots=True)
class Request:
    """One request as it arrived. `doubled`: some header came more than once."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    doubled: bool = False


@dataclass(slots=True)
class Answer:
    """What goes back, after `delay` seconds; nothing at all if there is a `fate`."""

    status: int
    headers: Sequence[Header] = ()
    body: bytes = b""
    delay: float = 0.0
    fate: Fate | None = None


@dataclass(slots=True)
class Refused(Exception):
    """Raised by a stand-in in the midst of its checks; `answer` says what the rules say."""

    answer: Answer = field()


def answer_json(status: int, content: Any, *headers: Header) -> Answer:
    """Return an answer whose body is `content` in JSON."""
    return Answer(status, [JSON_TYPE, *headers], ENCODER.encode(content).encode())


def read_json(body: bytes) -> Any:
    """Read JSON in UTF-8; raises ValueError for everything else, however deeply nested."""
    try:
        return json.loads(str(body, "utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
