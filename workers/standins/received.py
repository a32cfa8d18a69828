"""What the devices received: kept compactly, counted as it comes, decoded when somebody asks."""

import marshal
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SEGMENT = 1024
PLAIN_SEGMENTS = 160
MOST_REPEATS_NAMED = 1000
UNSHARED = 2  # the version of marshal that looks for no repetition, and is faster for it


class Push(NamedTuple):
    """One push as a stand-in accepted it; `payload` is whatever its provider reads words from."""

    provider: str
    address: str
    alert_id: str
    collapse_key: str
    payload: bytes
    at: float


@dataclass(slots=True)
class Tally:
    """The pushes of one alert, of one provider, or of both."""

    positions: "array[int]" = field(default_factory=lambda: array("I"))
    devices: set[int] = field(default_factory=set)
    repeats: int = 0
    repeated: list[int] = field(default_factory=list)

    def add(self, position: int, device: int) -> None:
        """Count the push at `position`; one more for a device that has had one is a repeat."""
        self.positions.append(position)
        before = len(self.devices)
        self.devices.add(device)
        if len(self.devices) == before:
            self.repeats += 1
            if len(self.repeated) < MOST_REPEATS_NAMED:
                self.repeated.append(position)


@dataclass(frozen=True, slots=True)
class Found:
    """All that match are counted; `pushes` are those of the page, the oldest first."""

    count: int
    devices: int
    pushes: Sequence[Push]


class Pushes:
    """Every push accepted since the last `forget`, at some 150 bytes each when there are many.

    Pushes are written in segments. The newest segments stand as they are, older ones compressed.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again with none."""
        self._open: list[Push] = []
        self._segments: list[bytes] = []
        self._compressed = 0
        self._addresses: array[int] = array("q")
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._of_providers: dict[str, Tally] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def keep(self, push: Push) -> None:
        """Keep one accepted push."""
        position = len(self._addresses)
        device = hash(push.address)
        self._addresses.append(device)
        key = (push.alert_id, push.provider)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        tally.add(position, device)
        tally = self._of_providers.get(push.provider)
        if tally is None:
            tally = self._of_providers[push.provider] = Tally()
        tally.add(position, device)
        self._open.append(push)
        if len(self._open) == SEGMENT:
            self._seal()

    def _seal(self) -> None:
        self._segments.append(marshal.dumps([tuple(push) for push in self._open], UNSHARED))
        self._open = []
        if len(self._segments) - self._compressed > PLAIN_SEGMENTS:
            oldest = self._segments[self._compressed]
            self._segments[self._compressed] = zlib.compress(oldest, 1)
            self._compressed += 1

    def _segment(self, number: int) -> list[Push]:
        if number == len(self._segments):
            return self._open
        raw = self._segments[number]
        plain = zlib.decompress(raw) if number < self._compressed else raw
        return [Push(*row) for row in marshal.loads(plain)]  # noqa: S302  # our own bytes

    def _read(self, positions: Iterable[int]) -> list[Push]:
        found: list[Push] = []
        number, segment = -1, []
        for position in positions:
            if position // SEGMENT != number:
                number = position // SEGMENT
                segment = self._segment(number)
            found.append(segment[position % SEGMENT])
        return found

    def find(
        self, alert_id: str | None, provider: str | None, address: str | None, page: slice
    ) -> Found:
        """Return the count of what matches, of its devices, and one page of it."""
        if address is not None:
            return self._find_address(alert_id, provider, address, page)
        tallies = self._matching(alert_id, provider)
        count = sum(len(tally.positions) for tally in tallies)
        devices = sum(len(tally.devices) for tally in tallies)
        return Found(count, devices, self._read(_page(tallies, page)))

    def _matching(self, alert_id: str | None, provider: str | None) -> list[Tally]:
        if alert_id is None:
            of_providers = self._of_providers
            wanted = of_providers if provider is None else {provider}
            return [of_providers[name] for name in wanted if name in of_providers]
        if provider is not None:
            tally = self._tallies.get((alert_id, provider))
            return [] if tally is None else [tally]
        keys = ((alert_id, name) for name in self._of_providers)
        return [self._tallies[key] for key in keys if key in self._tallies]

    def _find_address(
        self, alert_id: str | None, provider: str | None, address: str, page: slice
    ) -> Found:
        wanted = [
            push
            for push in self._read(_places(self._addresses, hash(address)))
            if push.address == address
            and alert_id in (None, push.alert_id)
            and provider in (None, push.provider)
        ]
        return Found(len(wanted), len({push.provider for push in wanted}), wanted[page])

    def repeats(self, alert_id: str | None = None) -> tuple[int, list[Push]]:
        """Return how often a device was sent one alert again, and the first such pushes."""
        tallies = [t for (alert, _), t in self._tallies.items() if alert_id in (None, alert)]
        named = sorted(position for tally in tallies for position in tally.repeated)
        return sum(tally.repeats for tally in tallies), self._read(named[:MOST_REPEATS_NAMED])


def _page(tallies: Sequence[Tally], page: slice) -> Sequence[int]:
    """Return the positions of one page over all `tallies`, oldest first."""
    if len(tallies) == 1:
        return tallies[0].positions[page]
    merged: array[int] = array("I")
    for tally in tallies:
        merged.extend(tally.positions[: page.stop])
    return sorted(merged)[page]


def _places(column: "array[int]", wanted: int) -> Iterable[int]:
    """Yield each place of `wanted` in the column."""
    start = 0
    while True:
        try:
            start = column.index(wanted, start) + 1
        except ValueError:
            return
        yield start - 1
