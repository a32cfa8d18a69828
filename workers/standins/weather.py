"""How the stand-ins can be told to misbehave, so that every run misbehaves alike.

A *front* is the weather over one provider, one address, both, or everything. A request meets the
most specific front first: its script while it lasts, then its shares; what neither decides is left
to the next front, and a request that meets nothing is judged by the provider's own rules.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

PROVIDERS = ("apns", "fcm", "webpush", "hms", "expo")
MOST_SCRIPTED = 10_000


class Kind(StrEnum):
    """What a share can deal out, in the order in which the draw's range is divided."""

    TOO_MANY = "429"
    FAILED = "500"
    AWAY = "503"
    GONE = "gone"
    """The device's address is dead."""
    GONE_LATER = "gone_later"
    """The same, known only to a receipt where the provider has receipts."""
    REFUSED = "refused"
    """This push is not taken, and the device is not said to be dead."""
    RESET = "reset"
    """The stream is reset before the push is taken."""
    LOST = "lost"
    """The push is taken, then the stream is reset: the answer is lost."""
    REFUSED_STREAM = "refused_stream"
    DISCONNECT = "disconnect"
    """The whole connection is cut before the push is taken."""
    HANG = "hang"
    """Nothing is taken and nothing comes."""


OF_CONNECTIONS = {Kind.RESET, Kind.LOST, Kind.REFUSED_STREAM, Kind.DISCONNECT}
OF_DEVICES = {Kind.GONE, Kind.GONE_LATER, Kind.REFUSED}


class BadWeather(ValueError):
    """What was asked for is not weather; the message says why."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """What hits one request: a kind, or a scripted answer with its status and body."""

    kind: Kind | None = None
    status: int = 0
    body: bytes | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Roughness:
    """What a connection suffers; None and False: nothing."""

    goaway: int | None = None
    """GOAWAY after so many requests on one connection."""
    streams: int | None = None
    """The most streams at once that are announced and borne."""
    half_close: int | None = None
    """After so many requests the server's side is closed, and it reads on in silence."""


@dataclass(slots=True)
class Front:
    """The weather over one provider (or all) and one address (or all)."""

    provider: str | None
    address: str | None
    script: deque[tuple[Stroke, int]]
    shares: tuple[tuple[Kind, float], ...]
    latency: float
    roughness: Roughness
    seed: int
    requests: Counter[str] = field(default_factory=Counter)

    def covers(self, provider: str, address: str | None) -> bool:
        """Say whether a request for that provider and address is under this front."""
        return self.provider in (None, provider) and self.address in (None, address)

    def scripted(self) -> Stroke | None:
        """Take the next answer of the script."""
        if not self.script:
            return None
        stroke, left = self.script[0]
        if left > 1:
            self.script[0] = (stroke, left - 1)
        else:
            self.script.popleft()
        return stroke

    def drawn(self, address: str) -> Kind | None:
        """Draw what the next request to `address` meets, from the seed, address and its number."""
        if not self.shares:
            return None
        self.requests[address] += 1
        point = draw(self.seed, address, self.requests[address])
        for kind, end in self.shares:
            if point < end:
                return kind
        return None


def draw(seed: int, address: str, number: int) -> float:
    """Return a number from 0 up to 1 that is always the same for the same three arguments."""
    text = f"{seed}\0{address}\0{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56


class Sky:
    """All fronts. `clear` is true without any, so that fair weather costs one look."""

    def __init__(self) -> None:
        self._fronts: dict[tuple[str | None, str | None], Front] = {}
        self.clear = True

    def put(self, asked: Mapping[str, Any]) -> None:
        """Put the front that was asked for, in the place of one with the same bounds."""
        front = read_front(asked)
        self._fronts[(front.provider, front.address)] = front
        self.clear = False

    def clear_up(self) -> None:
        """Take all fronts away."""
        self._fronts.clear()
        self.clear = True

    def _over(self, provider: str, address: str | None) -> Iterable[Front]:
        bounds = ((provider, address), (None, address), (provider, None), (None, None))
        for key in dict.fromkeys(bounds):
            front = self._fronts.get(key)
            if front is not None:
                yield front

    def stroke(self, provider: str, address: str) -> Stroke | None:
        """Return what hits this request, if anything does. Asking counts as a request."""
        for front in self._over(provider, address):
            stroke = front.scripted()
            if stroke is not None:
                return stroke
            kind = front.drawn(address)
            if kind is not None:
                return Stroke(kind)
        return None

    def stroke_of_device(self, provider: str, address: str) -> Kind | None:
        """Return what hits one more device of a request already decided on: shares alone."""
        for front in self._over(provider, address):
            kind = front.drawn(address)
            if kind in OF_DEVICES:
                return kind
        return None

    def latency(self, provider: str, address: str) -> float:
        """Return the seconds by which the answer to this request is late."""
        return next((f.latency for f in self._over(provider, address) if f.latency), 0.0)

    def roughness(self, provider: str) -> Roughness:
        """Return what connections to the provider suffer."""
        fronts = [f.roughness for f in self._over(provider, None)]
        return Roughness(
            *(
                next((value for f in fronts if (value := getattr(f, name)) is not None), None)
                for name in ("goaway", "streams", "half_close")
            )
        )

    def is_rough(self, provider: str) -> bool:
        """Say whether the weather over a provider needs a server that can break connections."""
        return any(
            front.roughness != Roughness()
            or any(kind in OF_CONNECTIONS for kind, _ in front.shares)
            or any(stroke.kind in OF_CONNECTIONS for stroke, _ in front.script)
            for front in self._fronts.values()
            if front.provider in (None, provider)
        )


KNOWN = {
    "provider", "address", "script", "share", "latency_ms", "goaway", "streams", "half_close",
    "seed",
}  # fmt: skip


def read_front(asked: Mapping[str, Any]) -> Front:
    """Read a front from the control call's body; raises `BadWeather`."""
    unknown = set(asked) - KNOWN
    if unknown:
        raise BadWeather(f"unknown: {', '.join(sorted(unknown))}")
    provider = asked.get("provider")
    if provider not in (None, *PROVIDERS):
        raise BadWeather(f"provider must be one of {', '.join(PROVIDERS)}")
    address = asked.get("address")
    if address is not None and not isinstance(address, str):
        raise BadWeather("address must be a string")
    return Front(
        provider=provider,
        address=address,
        script=deque(_read_script(asked.get("script") or [])),
        shares=_read_shares(asked.get("share") or {}),
        latency=_number(asked, "latency_ms", 600_000) / 1000,
        roughness=Roughness(
            goaway=_count(asked, "goaway", 100),
            streams=_count(asked, "streams", 100),
            half_close=_count(asked, "half_close", 1),
        ),
        seed=int(_number(asked, "seed", 2**63)),
    )


def _number(asked: Mapping[str, Any], name: str, most: float) -> float:
    value = asked.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadWeather(f"{name} must be a number from 0 to {most}")
    return value


def _count(asked: Mapping[str, Any], name: str, when_true: int) -> int | None:
    value = asked.get(name)
    if value is None or value is False:
        return None
    if value is True:
        return when_true
    if not isinstance(value, int) or value < 1:
        raise BadWeather(f"{name} must be true, false or a whole number from 1")
    return value


def _read_shares(asked: object) -> tuple[tuple[Kind, float], ...]:
    if not isinstance(asked, dict):
        raise BadWeather("share must be an object of fractions")
    unknown = set(asked) - set(Kind)
    if unknown:
        raise BadWeather(f"share knows {', '.join(Kind)}, not {', '.join(sorted(unknown))}")
    shares: list[tuple[Kind, float]] = []
    end = 0.0
    for kind in Kind:
        part = asked.get(kind, 0)
        if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= 1:
            raise BadWeather(f"share.{kind} must be a fraction from 0 to 1")
        if part:
            end += part
            shares.append((kind, end))
    if end > 1 + 1e-9:
        raise BadWeather("the shares are more than 1 together")
    return tuple(shares)


def _read_script(asked: object) -> Iterable[tuple[Stroke, int]]:
    if not isinstance(asked, list) or len(asked) > MOST_SCRIPTED:
        raise BadWeather(f"script must be a list of at most {MOST_SCRIPTED} answers")
    for entry in asked:
        if not isinstance(entry, dict) or set(entry) - {"status", "body", "retry_after", "count"}:
            raise BadWeather("a scripted answer has status, body, retry_after and count")
        yield _read_stroke(entry), _count(entry, "count", 1) or 1


def _read_stroke(entry: Mapping[str, Any]) -> Stroke:
    status = entry.get("status")
    if status in set(Kind) - {"429", "500", "503"}:
        return Stroke(Kind(str(status)))
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if not isinstance(status, int) or not 200 <= status <= 599:  # noqa: PLR2004  # HTTP's own range
        raise BadWeather(f"status must be 200 to 599 or one of {', '.join(Kind)}")
    body = entry.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    retry_after = entry.get("retry_after")
    if retry_after is not None and (not isinstance(retry_after, int) or retry_after < 0):
        raise BadWeather("retry_after must be whole seconds")
    return Stroke(None, status, None if body is None else body.encode(), retry_after)
