"""What the devices received: stored compactly, counted on arrival, decoded on request."""

import marshal
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

BLOCK_PUSHES = 1024
PLAIN_BLOCKS = 160
"""Segments that stay uncompressed, the newest."""
MAX_NAMED_REPEATS = 1000
UNSHARED = 2  # the version of marshal that looks for no repetition, and is faster for it


class Push(NamedTuple):
    """One push as a stand-in accepted it; `payload` is what the stand-in reads its fields from."""

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
    repeat_positions: list[int] = field(default_factory=list)

    def add(self, position: int, device: int) -> None:
        """Count the push at `position`; one more for a device that has had one is a repeat."""
        self.positions.append(position)
        devices_before = len(self.devices)
        self.devices.add(device)
        if len(self.devices) == devices_before:
            self.repeats += 1
            if len(self.repeat_positions) < MAX_NAMED_REPEATS:
                self.repeat_positions.append(position)


@dataclass(frozen=True, slots=True)
class Matches:
    """Counts of everything that matches; `pushes` are those of one page, the oldest first."""

    count: int
    devices: int
    pushes: Sequence[Push]


class ReceivedPushes:
    """Every push accepted since the last `forget`; many of them take some 150 bytes each.

    Pushes are stored in blocks. The newest blocks are plain, older ones compressed.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again with none."""
        self._open_block: list[Push] = []
        self._blocks: list[bytes] = []
        self._compressed = 0
        self._addresses: array[int] = array("q")
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._provider_tallies: dict[str, Tally] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def add(self, push: Push) -> None:
        """Store one accepted push."""
        position = len(self._addresses)
        device = hash(push.address)
        self._addresses.append(device)
        key = (push.alert_id, push.provider)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        tally.add(position, device)
        tally = self._provider_tallies.get(push.provider)
        if tally is None:
            tally = self._provider_tallies[push.provider] = Tally()
        tally.add(position, device)
        self._open_block.append(push)
        if len(self._open_block) == BLOCK_PUSHES:
            self._close_block()

    def _close_block(self) -> None:
        rows = [tuple(push) for push in self._open_block]
        self._blocks.append(marshal.dumps(rows, UNSHARED))
        self._open_block = []
        if len(self._blocks) - self._compressed > PLAIN_BLOCKS:
            oldest = self._blocks[self._compressed]
            self._blocks[self._compressed] = zlib.compress(oldest, 1)
            self._compressed += 1

    def _read_block(self, number: int) -> list[Push]:
        if number == len(self._blocks):
            return self._open_block
        raw = self._blocks[number]
        plain = zlib.decompress(raw) if number < self._compressed else raw
        return [Push(*row) for row in marshal.loads(plain)]  # noqa: S302  # our own bytes

    def _read(self, positions: Iterable[int]) -> list[Push]:
        pushes: list[Push] = []
        number, block = -1, []
        for position in positions:
            if position // BLOCK_PUSHES != number:
                number = position // BLOCK_PUSHES
                block = self._read_block(number)
            pushes.append(block[position % BLOCK_PUSHES])
        return pushes

    def search(
        self, alert_id: str | None, provider: str | None, address: str | None, page: slice
    ) -> Matches:
        """Return how many pushes and devices match, and one page of the pushes."""
        if address is not None:
            return self._search_address(alert_id, provider, address, page)
        tallies = self._matching_tallies(alert_id, provider)
        count = sum(len(tally.positions) for tally in tallies)
        devices = sum(len(tally.devices) for tally in tallies)
        return Matches(count, devices, self._read(_page_positions(tallies, page)))

    def _matching_tallies(self, alert_id: str | None, provider: str | None) -> list[Tally]:
        if alert_id is None:
            by_provider = self._provider_tallies
            names = by_provider if provider is None else {provider}
            return [by_provider[name] for name in names if name in by_provider]
        if provider is not None:
            tally = self._tallies.get((alert_id, provider))
            return [] if tally is None else [tally]
        keys = ((alert_id, name) for name in self._provider_tallies)
        return [self._tallies[key] for key in keys if key in self._tallies]

    def _search_address(
        self, alert_id: str | None, provider: str | None, address: str, page: slice
    ) -> Matches:
        pushes = [
            push
            for push in self._read(_positions_of(hash(address), self._addresses))
            if push.address == address
            and alert_id in (None, push.alert_id)
            and provider in (None, push.provider)
        ]
        return Matches(len(pushes), len({push.provider for push in pushes}), pushes[page])

    def find_repeats(self, alert_id: str | None = None) -> tuple[int, list[Push]]:
        """Return how often a device received an alert again, and the first such pushes."""
        tallies = [t for (alert, _), t in self._tallies.items() if alert_id in (None, alert)]
        positions = sorted(position for tally in tallies for position in tally.repeat_positions)
        return sum(tally.repeats for tally in tallies), self._read(positions[:MAX_NAMED_REPEATS])


def _page_positions(tallies: Sequence[Tally], page: slice) -> Sequence[int]:
    """Return the positions of one page over all `tallies`, oldest first."""
    if len(tallies) == 1:
        return tallies[0].positions[page]
    positions: array[int] = array("I")
    for tally in tallies:
        positions.extend(tally.positions[: page.stop])
    return sorted(positions)[page]


def _positions_of(value: int, column: "array[int]") -> Iterable[int]:
    """Yield every position of `value` in the column."""
    start = 0
    while True:
        try:
            start = column.index(value, start) + 1
        except ValueError:
            return
        yield start - 1
