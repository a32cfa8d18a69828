"""Addresses that a provider does not take in one request, as far as its refusals have said so.

Anybody may register an address of another project. Sent along with others, it has the request
refused as a whole; sent apart, it can end nothing but its own delivery.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from workers.provider import Target

MOST_ADDRESSES = 10_000
"""Addresses that are remembered; beyond these the oldest is forgotten, and learned again."""


class AddressGroups:
    """The group of each address that a refusal named; all others are one group."""

    def __init__(self) -> None:
        self._groups: dict[str, str] = {}

    def learn(self, group: str, addresses: Iterable[str]) -> None:
        """Note that the addresses can be sent together, and with no others."""
        for address in addresses:
            if len(self._groups) >= MOST_ADDRESSES:
                del self._groups[next(iter(self._groups))]
            self._groups[address] = group

    def learn_all(self, groups: object, addresses: Collection[str]) -> set[str]:
        """Note groups as an answer lists them by name; return which of the addresses it lists."""
        listed = set[str]()
        for name, members in groups.items() if isinstance(groups, dict) else ():
            group = set(map(str, members if isinstance(members, list) else ())) & set(addresses)
            self.learn(str(name), group)
            listed |= group
        return listed

    def split(self, targets: Sequence[Target], size: int) -> Iterator[Sequence[Target]]:
        """Yield the targets by group, up to `size` at once."""
        by_group: dict[str, list[Target]] = {}
        for target in targets:
            by_group.setdefault(self._groups.get(target.address, ""), []).append(target)
        for group in by_group.values():
            for start in range(0, len(group), size):
                yield group[start : start + size]
