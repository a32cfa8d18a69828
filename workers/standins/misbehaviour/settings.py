"""Which requests meet a fault, decided so that every run misbehaves in the same way.

A `Misbehaviour` applies to one provider, one address, both, or everything. A request meets the most
specific one first: its script while it lasts, then its shares. What neither decides is left to the
next one, and a request that meets no fault is judged by the provider's own rules.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from workers.standins.misbehaviour.faults import (
    CONNECTION_KINDS,
    DEVICE_KINDS,
    ConnectionFaults,
    Fault,
    FaultKind,
)

PROVIDERS = ("apns", "fcm", "webpush", "hms", "expo")
TOKEN_SERVER = "/token"
"""The address that names the token server of a provider, not a device."""


@dataclass(slots=True)
class Misbehaviour:
    """How one provider (or all) answers for one address (or all)."""

    provider: str | None
    address: str | None
    script: deque[tuple[Fault, int]]
    """Answers still to be given, each with the number of times."""
    shares: tuple[tuple[FaultKind, float], ...]
    """Each kind with the end of its range between 0 and 1."""
    latency_s: float
    connection: ConnectionFaults
    seed: int
    retry_after: int | None
    requests: Counter[str] = field(default_factory=Counter)

    def next_scripted(self) -> Fault | None:
        """Take the next answer of the script."""
        if not self.script:
            return None
        fault, remaining = self.script[0]
        if remaining > 1:
            self.script[0] = (fault, remaining - 1)
        else:
            self.script.popleft()
        return fault

    def draw_kind(self, address: str) -> FaultKind | None:
        """Draw the fault of the next request to `address`: from seed, address and its number."""
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


class MisbehaviourSettings:
    """All misbehaviour in force. `is_empty` lets a stand-in that behaves pay one look-up only."""

    def __init__(self) -> None:
        self._by_target: dict[tuple[str | None, str | None], Misbehaviour] = {}
        self.is_empty = True

    def put(self, misbehaviour: Misbehaviour) -> None:
        """Put one in force; it replaces one for the same provider and address."""
        self._by_target[(misbehaviour.provider, misbehaviour.address)] = misbehaviour
        self.is_empty = False

    def clear(self) -> None:
        """Let all stand-ins behave."""
        self._by_target.clear()
        self.is_empty = True

    def _applicable(self, provider: str, address: str | None) -> Iterable[Misbehaviour]:
        """Yield what applies, the most specific first."""
        targets = ((provider, address), (None, address), (provider, None), (None, None))
        for target in dict.fromkeys(targets):
            misbehaviour = self._by_target.get(target)
            if misbehaviour is not None:
                yield misbehaviour

    def next_fault(self, provider: str, address: str) -> Fault | None:
        """Return the fault of this request, if it has one. Each call counts as a request."""
        for misbehaviour in self._applicable(provider, address):
            fault = misbehaviour.next_scripted()
            if fault is not None:
                return fault
            kind = misbehaviour.draw_kind(address)
            if kind is not None:
                return Fault(kind, retry_after=misbehaviour.retry_after)
        return None

    def next_device_fault(self, provider: str, address: str) -> FaultKind | None:
        """Return the fault of one more device of the same request; scripts do not count here."""
        for misbehaviour in self._applicable(provider, address):
            kind = misbehaviour.draw_kind(address)
            if kind in DEVICE_KINDS:
                return kind
        return None

    def latency_s(self, provider: str, address: str) -> float:
        """Return the seconds by which the answer to this request is delayed."""
        latencies = (each.latency_s for each in self._applicable(provider, address))
        return next((latency for latency in latencies if latency), 0.0)

    def token_latency_s(self, provider: str) -> float:
        """Return the seconds by which the provider's token server delays its answer."""
        misbehaviour = self._by_target.get((provider, TOKEN_SERVER))
        return 0.0 if misbehaviour is None else misbehaviour.latency_s

    def connection_faults(self, provider: str) -> ConnectionFaults:
        """Return the faults of connections to the provider."""
        faults = ConnectionFaults()
        for misbehaviour in self._applicable(provider, None):
            faults = faults.with_defaults(misbehaviour.connection)
        return faults

    def needs_breaking_server(self, provider: str) -> bool:
        """Say whether connections to the provider have to break, which granian cannot do."""
        return any(
            each.connection != ConnectionFaults()
            or any(kind in CONNECTION_KINDS for kind, _ in each.shares)
            or any(fault.kind in CONNECTION_KINDS for fault, _ in each.script)
            for each in self._by_target.values()
            if each.provider in (None, provider)
        )
