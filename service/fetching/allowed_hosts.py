"""Which hosts may be fetched from although their addresses are not public."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.network import is_public_address


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that an operator named: `host` for each port, `host:port` for one."""

    names: frozenset[str] = frozenset()

    @classmethod
    def named(cls, names: Iterable[str]) -> "AllowedHosts":
        """Return the hosts of a setting."""
        return cls(frozenset(name.lower() for name in names))

    def may_connect(self, ip: str, host: str, port: int) -> bool:
        """Whether a connection for `host:port` may be made to the address it resolved to.

        The address that was resolved is judged, and it is the one that is connected to: nothing is
        resolved twice.
        """
        name = host.lower().strip("[]").rstrip(".")
        return is_public_address(ip) or bool({name, f"{name}:{port}"} & self.names)
