"""The Web Push endpoints that we send to. Strangers register them, so they are hostile input.

An entry of the allow-list is a `host`, a `host:port`, a `*.suffix`, or `*` for any host. An entry
with a port may lead anywhere, to a private address too, because an administrator wrote it. Every
other endpoint must be https on port 443 at a public address.
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
from workers.provider_kit.setting_types import split_list

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
REMOVED_HOST = "permanently-removed.invalid"
"""Where Chrome says that its subscriptions are once they were removed for good."""
_NEVER_PUBLIC = (".localhost", ".local", ".internal", ".invalid", ".home.arpa")


def is_public_name(host: str) -> bool:
    """Whether the host, in lower case, is a name that the public DNS can have."""
    return bool(_NAME.fullmatch(host)) and not host.endswith(_NEVER_PUBLIC)


class EndpointRefused(ValueError):
    """We do not send to this endpoint; the sentence says why and never repeats the endpoint."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """The hosts and suffixes that are reached on port 443, and the pairs of host and port.

    `any_host` says that `*` is an entry: any public host is allowed.
    """

    hosts: frozenset[str]
    suffixes: tuple[str, ...]
    pairs: frozenset[tuple[str, int]]
    any_host: bool

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "AllowList":
        """Read the entries; raises ValueError that names the first malformed one.

        A list with the entry `*` also holds the well-known push services.
        """
        hosts, suffixes, pairs, any_host = set(), [], set(), False
        entries = tuple(entries)
        for entry in (*entries, *KNOWN_PUSH_SERVICES) if "*" in entries else entries:
            match = _ENTRY.fullmatch(entry.lower())
            if not match or (match[2] and match[1].startswith("*")):
                raise ValueError(f"{entry!r} is not a host, a host:port, a *.suffix or *")
            host, port = match.groups()
            if port:
                pairs.add((host.strip("[]"), int(port)))
            elif host == "*":
                any_host = True
            elif host.startswith("*."):
                suffixes.append(host[1:])
            else:
                hosts.add(host.strip("[]"))
        return cls(frozenset(hosts), tuple(suffixes), frozenset(pairs), any_host)

    def has_pair(self, host: str, port: int) -> bool:
        """Whether an administrator wrote this pair of host and port."""
        return (host.lower().strip("[]"), port) in self.pairs

    def is_known_server(self, endpoint: str) -> bool:
        """Whether an entry names the endpoint's server; `*` names none."""
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname or "", parts.port or HTTPS_PORT
        except ValueError:
            return False
        return self.has_pair(host, port) or self._names(host)

    def pattern(self) -> str:
        """Return a regular expression, PostgreSQL's and Python's, of endpoints at known servers.

        It is for endpoints in the one spelling that `check_endpoint` returns.
        """
        hosts = [re.escape(_as_authority(host)) for host in sorted(self.hosts)]
        suffixes = [f"[^/:]*{re.escape(suffix)}" for suffix in self.suffixes]
        pairs = [
            re.escape(_as_authority(host) + ("" if port == HTTPS_PORT else f":{port}"))
            for host, port in sorted(self.pairs)
        ]
        return f"^https://({'|'.join((*hosts, *suffixes, *pairs))})(/|$)"

    def _names(self, host: str) -> bool:
        return host in self.hosts or host.endswith(self.suffixes)

    def check_endpoint(self, endpoint: str) -> str:
        """Return the endpoint in its one spelling; raises `EndpointRefused`."""
        match = _ENDPOINT.fullmatch(endpoint)
        if not match or len(endpoint) > MAX_ADDRESS:
            raise EndpointRefused(
                f"An endpoint is an https address of at most {MAX_ADDRESS} characters."
            )
        authority = _AUTHORITY.fullmatch(match[1])
        if not authority:
            raise EndpointRefused("An endpoint has a host, perhaps a port, and no user name.")
        host, port = authority[1].lower(), int(authority[2] or HTTPS_PORT)
        if not self.has_pair(host, port):
            self._check_public(host, port)
        authority_text = host if port == HTTPS_PORT else f"{host}:{port}"
        path = match[2] if match[2].startswith("/") else f"/{match[2]}"
        return f"https://{authority_text}{path}"

    def _check_public(self, host: str, port: int) -> None:
        if port != HTTPS_PORT:
            raise EndpointRefused("An endpoint is reached on port 443.")
        if not (self.any_host or self._names(host.strip("[]"))):
            raise EndpointRefused("That host is none of the push services we know.")
        address = host_as_address(host)
        if address is not None:
            is_native = address.version == 4 or address in GLOBAL_UNICAST_6  # noqa: PLR2004
            is_plain = str(address) == host.strip("[]")
            if not (is_native and is_plain and is_public_address(str(address))):
                raise EndpointRefused("An endpoint is reached at a public address.")
        elif not is_public_name(host):
            raise EndpointRefused("An endpoint's host is a name in the public DNS.")


def _as_authority(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_entries(entries: tuple[str, ...]) -> tuple[str, ...]:
    AllowList.parse(entries)
    return entries


AllowedHosts = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_list), AfterValidator(_check_entries)
]
"""A setting: the entries of an allow-list, comma-separated."""
