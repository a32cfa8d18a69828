"""The check at connect time: where a connection of a guarded pool may go.

Web Push endpoints are strangers' input. Registration has judged the name; a name resolves to
whatever its owner likes, so the address that was resolved is judged once more, and it is that
very address which is connected to: nothing is resolved twice.
"""

from collections.abc import Callable

from service.domain.network import is_public_address

Guard = Callable[[str, int], bool]
"""Says for (host, port) whether the pair may be at an address that is not public."""


class AddressRefused(Exception):
    """Every address that the host resolved to is one we do not connect to."""


def may_connect(ip: str, host: str, port: int, guard: Guard | None) -> bool:
    """Whether a connection for `host:port` may be made to the address `ip` it resolved to.

    Without a guard the operator named the origin, and it may be anywhere.
    """
    return guard is None or is_public_address(ip) or guard(host, port)
