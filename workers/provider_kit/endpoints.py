"""Which Web Push endpoints we talk to. Strangers register them, so they are hostile input.

An entry of the allow-list is a `host`, a `host:port`, a `*.suffix`, or `*` for any host. An entry
with a port is taken as it stands, private address included, because an administrator wrote it;
everything else must be https on port 443 at a public address.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from service.domain.device import MAX_ADDRESS
from service.domain.network import GLOBAL_UNICAST_6, host_as_address, is_public_address

HTTPS_PORT = 443
KNOWN_PUSH_SERVICES = (
    "fcm.googleapis.com",
    "android.googleapis.com",
    "jmt17.google.com",
    "*.push.services.mozilla.com",
    "*.notify.windows.com",
    "*.push.apple.com",
)
_ENTRY = re.compile(r"(\*|(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_ENDPOINT = re.compile(r"(?i:https)://([^/?#]*)((?:[/?][!$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]*)?)")
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:@\[\]]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?")
_NEVER_PUBLIC = (".localhost", ".local", ".internal", ".home.arpa")


class EndpointRefused(ValueError):
    """An endpoint that we do not push to; the sentence never repeats it."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The allow-list: names without a port, and those with one."""

    hosts: frozenset[str]
    suffixes: tuple[str, ...]
    named: frozenset[tuple[str, int]]
    open: bool

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "Allowed":
        """Read the entries; raises ValueError that names the first which is none.

        A list that is open to all still knows the push services we know.
        """
        hosts, suffixes, named, opened = set(), [], set(), False
        written = tuple(entries)
        for entry in (*written, *KNOWN_PUSH_SERVICES) if "*" in written else written:
            found = _ENTRY.fullmatch(entry.lower())
            if not found or (found[2] and found[1].startswith("*")):
                raise ValueError(f"{entry!r} is no host, host:port, *.suffix or *")
            if found[2]:
                named.add((found[1].strip("[]"), int(found[2])))
            elif found[1] == "*":
                opened = True
            elif found[1].startswith("*."):
                suffixes.append(found[1][1:])
            else:
                hosts.add(found[1].strip("[]"))
        return cls(frozenset(hosts), tuple(suffixes), frozenset(named), opened)

    def names(self, host: str, port: int) -> bool:
        """Whether an administrator wrote this very pair, to be taken as it stands."""
        return (host.lower().strip("[]"), port) in self.named

    def lists(self, host: str) -> bool:
        """Whether the host is on the list, or the list is open."""
        return self.open or self._knows(host)

    def is_known_server(self, endpoint: str) -> bool:
        """Whether somebody named the endpoint's server: the `*` of an open list names nobody."""
        try:
            place = urlsplit(endpoint)
            host, port = place.hostname or "", place.port or HTTPS_PORT
        except ValueError:
            return False
        return self.names(host, port) or self._knows(host)

    def _knows(self, host: str) -> bool:
        return host in self.hosts or host.endswith(self.suffixes)

    def check(self, endpoint: str) -> str:
        """Return the endpoint in its one spelling; raises `EndpointRefused`."""
        found = _ENDPOINT.fullmatch(endpoint)
        if not found or len(endpoint) > MAX_ADDRESS:
            raise EndpointRefused(
                f"An endpoint is an https address of at most {MAX_ADDRESS} characters."
            )
        authority = _AUTHORITY.fullmatch(found[1])
        if not authority:
            raise EndpointRefused("An endpoint has a host, perhaps a port, and no user name.")
        host, port = authority[1].lower(), int(authority[2] or HTTPS_PORT)
        if not self.names(host, port):
            self._check_public(host, port)
        place = host if port == HTTPS_PORT else f"{host}:{port}"
        path = found[2] if found[2].startswith("/") else f"/{found[2]}"
        return f"https://{place}{path}"

    def _check_public(self, host: str, port: int) -> None:
        if port != HTTPS_PORT:
            raise EndpointRefused("An endpoint is reached on port 443.")
        if not self.lists(host.strip("[]")):
            raise EndpointRefused("That host is none of the push services we know.")
        address = host_as_address(host)
        if address is not None:
            native = address.version == 4 or address in GLOBAL_UNICAST_6  # noqa: PLR2004
            plain = str(address) == host.strip("[]")
            if not (native and plain and is_public_address(str(address))):
                raise EndpointRefused("An endpoint is reached at a public address.")
        elif not _NAME.fullmatch(host) or host.endswith(_NEVER_PUBLIC):
            raise EndpointRefused("An endpoint's host is a name that all the world can look up.")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _checked(entries: tuple[str, ...]) -> tuple[str, ...]:
    Allowed.parse(entries)
    return entries


AllowedHosts = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_checked)
]
"""A setting that holds an allow-list, comma-separated."""
