"""What passes between a server and a stand-in: a request, and an answer or its failure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Header = tuple[str, str]
JSON_TYPE: Header = ("content-type", "application/json; charset=UTF-8")
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class TransportFailure(StrEnum):
    """What happens to a request that gets no answer."""

    HANG = "hang"
    """Nothing comes, until the client gives up."""
    RESET = "reset"
    """Its stream is reset; over HTTP/1.1 its connection is."""
    REFUSED_STREAM = "refused_stream"
    """Its stream is refused: the one reset that promises that nothing was processed."""
    DISCONNECT = "disconnect"
    """Its whole connection is cut, with everything in flight on it."""


@dataclass(slots=True)
class Request:
    """One request as it arrived. `has_duplicates`: some header came more than once."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    has_duplicates: bool = False


@dataclass(slots=True)
class Answer:
    """What is sent back after `delay_s` seconds; with a `failure` no answer is sent at all."""

    status: int
    headers: Sequence[Header] = ()
    body: bytes = b""
    delay_s: float = 0.0
    failure: TransportFailure | None = None


@dataclass(slots=True)
class Refusal(Exception):
    """Raised by a stand-in at the first rule that is broken, with the provider's answer."""

    answer: Answer = field()


def answer_json(status: int, content: Any, *headers: Header) -> Answer:
    """Return an answer whose body is `content` in JSON."""
    return Answer(status, [JSON_TYPE, *headers], ENCODER.encode(content).encode())


def read_json(body: bytes) -> Any:
    """Read JSON in UTF-8; everything else, deep nesting included, raises ValueError."""
    try:
        return json.loads(str(body, "utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
