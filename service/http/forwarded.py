"""The true caller of a request that came through proxies: X-Forwarded-For and Forwarded (RFC 7239).

Only a peer in one of the trusted networks is believed, and its headers are read from the right: the
last address was added by the peer, the one before by the proxy it names, and so on, until the first
address that is no trusted proxy. What stands left of it was written by the caller, who may write
anything. A proxy sets one of the two headers and may pass the other on unread, so where they name
different callers neither is believed.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.settings import Network

LONGEST_READ = 2048
"""Characters of a header that are read, from its right end."""
SCHEMES = frozenset({"http", "https"})
_FORWARDING = (b"x-forwarded-for", b"forwarded")
_ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
_PARAMETER = re.compile(r'(?:^|;)\s*(for|proto)\s*=\s*("[^"]*"|[^\s;,"]*)', re.IGNORECASE)


class TrustProxies:
    """Puts the true caller's address and scheme in place of the nearest proxy's."""

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        self.app = app
        self.networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as its caller's."""
        if scope["type"] == "http":
            scope = of_caller(scope, self.networks)
        await self.app(scope, receive, send)


def of_caller(scope: Scope, networks: Sequence[Network]) -> Scope:
    """Return the request as its true caller's."""
    client = scope.get("client")
    if client and is_trusted(client[0], networks):
        return {**scope, **_true_caller(scope, client, networks)}
    return scope


def _true_caller(scope: Scope, client: Sequence[str | int], networks: Sequence[Network]) -> Scope:
    for_header, forwarded = (_header(scope, name) for name in _FORWARDING)
    # no proxy escapes anything, and to look for the ends of escaped texts costs the square
    elements = [_parameters(one) for one in _ELEMENT.findall(forwarded.rpartition("\\")[2])]
    chains = []
    if for_header:
        chains.append(for_header.split(","))
    if elements:
        chains.append([element.get("for", "") for element in elements])
    address = find_caller(str(client[0]), chains, networks)
    proto = _header(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
    if not proto and elements:
        proto = elements[-1].get("proto", "").lower()
    scheme = proto if proto in SCHEMES else scope["scheme"]
    return {"client": (address, client[1]), "scheme": scheme}


def find_caller(peer: str, chains: Iterable[Sequence[str]], networks: Sequence[Network]) -> str:
    """Return the caller that all chains agree on, each read from its right; else the peer."""
    callers = {_first_stranger(peer, chain, networks) for chain in chains}
    return callers.pop() if len(callers) == 1 else peer


def _first_stranger(peer: str, chain: Sequence[str], networks: Sequence[Network]) -> str:
    """Return the last address that is no trusted proxy, or the farthest that can be read."""
    caller = peer
    for hop in reversed(chain):
        address = read_address(hop)
        if address is None:
            break
        caller = str(address)
        if not is_trusted(caller, networks):
            break
    return caller


def read_address(node: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a node, which may have a port; None for a name, `unknown` or else."""
    text = node.strip().strip('"').strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _address(text)


def is_trusted(peer: str, networks: Sequence[Network]) -> bool:
    """Whether the peer is one of our proxies."""
    if not networks:
        return False
    address = _address(peer)
    return address is not None and any(address in network for network in networks)


def is_forwarded(connection: HTTPConnection) -> bool:
    """Whether a proxy, trusted or not, says that the request came through it."""
    return any(name in _FORWARDING for name, _ in connection.scope["headers"])


def counted_address(address: str) -> str:
    """Return what limits count an address by: an IPv6 caller owns its whole /64 network.

    This machine's own address stays as it is: `::1` has no neighbours.
    """
    ip = _address(address)
    if isinstance(ip, IPv6Address) and not ip.is_loopback:
        return str(IPv6Network((ip, 64), strict=False))
    return address if ip is None else str(ip)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else IPv4Address(mapped)


def _parameters(element: str) -> dict[str, str]:
    return {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(element.strip())}


def _header(scope: Scope, name: bytes) -> str:
    values = (value for header, value in scope["headers"] if header == name)
    return b",".join(values).decode("latin-1")[-LONGEST_READ:]
