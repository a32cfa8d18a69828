"""The positions of a request together with their addresses, for answers that name addresses."""

from collections.abc import Sequence
from typing import Self

from workers.provider import Position, Target


class AddressedPositions(tuple[Position, ...]):  # noqa: SLOT001 - a tuple's slots must be empty
    """The positions of a request's devices; `addresses` holds their addresses in the same order."""

    addresses: tuple[str, ...]

    @classmethod
    def of(cls, targets: Sequence[Target]) -> Self:
        """Return the positions and addresses of the targets."""
        positions = cls(target.position for target in targets)
        positions.addresses = tuple(target.address for target in targets)
        return positions


def addresses_at(positions: Sequence[Position]) -> tuple[str, ...] | None:
    """Return the addresses that stand with the positions; None when there is not one for each."""
    if not isinstance(positions, AddressedPositions):
        return None
    return positions.addresses if len(positions.addresses) == len(positions) else None
