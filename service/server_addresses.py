"""The addresses of PostgreSQL and Redis, checked before anything connects: faults in one line."""

from urllib.parse import parse_qs, urlsplit

DATABASE_SCHEMES = frozenset({"postgresql", "postgres"})
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
VERIFIED = "ssl_cert_reqs"
_NOT_ENCODED = (
    "its user name or password has @, #, / or another mark in it: "
    "write %40 for @, %23 for #, %2F for /, %3A for :"
)


def check_database_url(url: str) -> str:
    """Return the address of PostgreSQL; raises `ValueError` that says what is wrong with it."""
    _check(url, DATABASE_SCHEMES, "postgresql://user:password@host:port/name")
    return url


def check_redis_url(url: str) -> str:
    """Return the address of Redis; raises `ValueError` that says what is wrong with it.

    Over TLS the server's certificate is verified, unless the address itself says otherwise: Celery
    would verify nothing.
    """
    _check(url, REDIS_SCHEMES, "redis://host:port/0 or rediss://host:port/0")
    return verify_tls(url)


def verify_tls(url: str) -> str:
    """Return an address of Redis that asks for the verification of the server's certificate."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or VERIFIED in parse_qs(parts.query):
        return url
    return f"{url}{'&' if parts.query else '?'}{VERIFIED}=required"


def _check(url: str, schemes: frozenset[str], example: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        name = parts.scheme or url[:20]
        message = f"{name}:// is not supported here; write {example}"
        raise ValueError(message)
    has_marks = parts.netloc.count("@") > 1 or "@" in parts.path or bool(parts.fragment)
    if has_marks or not _has_port_or_none(url):
        raise ValueError(_NOT_ENCODED)


def _has_port_or_none(url: str) -> bool:
    """Whether the port is a number, or left out; several hosts (`a:1,b:2`) are PostgreSQL's own."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    return all(not port or port.isdigit() for port in ports)
