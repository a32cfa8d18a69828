"""What an app may be called, and on which sites a web app's pages may be."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from service.domain.errors import Invalid
from service.domain.network import DEFAULT_PORTS

MOST_APPS = 50
MOST_ORIGINS = 20
SHORTEST_LOGIN_SECRET = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:]+\]")


def check_app_name(name: str) -> str:
    """Return an app's name; raises `Invalid`."""
    if not _NAME.fullmatch(name):
        raise Invalid("name", "Use 1 to 40 lower-case letters, digits and hyphens.")
    return name


def is_public_key(login_key: str) -> bool:
    """Whether logins are signed with a private key whose public one this is; else with a secret."""
    return login_key.lstrip().startswith("-----BEGIN PUBLIC KEY-----")


def check_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Return origins as browsers write them, each once; raises `Invalid`."""
    result = tuple(dict.fromkeys(_check_origin(origin) for origin in origins))
    if len(result) > MOST_ORIGINS:
        raise Invalid("origins", f"A web app is on {MOST_ORIGINS} sites at most.")
    return result


def _check_origin(origin: str) -> str:
    try:
        parts = urlsplit(origin.strip().lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    is_origin = parts.scheme in DEFAULT_PORTS and _HOST.fullmatch(host)
    if not is_origin or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Invalid("origins", f"{origin[:80]!r} is no origin such as https://news.example.")
    shown_port = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}"
