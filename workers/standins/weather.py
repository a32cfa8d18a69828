"""How the stand-ins can be told to misbehave, so that every run misbehaves alike.

A *front* is the weather over one provider, one address, both, or everything. A request meets the
most specific front first: its script while it lasts, then its shares; what neither decides is left
to the next front, and a request that meets nothing is judged by the provider's own rules.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

PROVIDERS = ("apns", "fcm", "webpush", "hms", "expo")


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
    retry_after: int | None
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

    def put(self, front: Front) -> None:
        """Put a front up, in the place of one with the same bounds."""
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
                return Stroke(kind, retry_after=front.retry_after)
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
