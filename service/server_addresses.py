"""The addresses of PostgreSQL, Redis and the broker, checked before anything connects.

A fault is one line. An address may hold a password, so no message repeats it.
"""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

DATABASE_SCHEMES = frozenset({"postgresql", "postgres"})
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix", "sentinel"})
RABBITMQ_SCHEMES = frozenset({"amqp", "amqps"})
VERIFIED = "ssl_cert_reqs"
SENTINEL_PORT = 26_379
_NOT_ENCODED = (
    "its user name or password has @, #, / or another mark in it: "
    "write %40 for @, %23 for #, %2F for /, %3A for :"
)
_REDIS_FORMS = (
    "redis://host:port/0, rediss://host:port/0 or sentinel://host:port,host:port/0?master=name"
)
_BROKER_FORMS = f"{_REDIS_FORMS}, or amqp://user:password@host:port/vhost for RabbitMQ"
_NO_MASTER = "name the primary that the Sentinels watch: sentinel://host:port/0?master=name"


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """The Sentinels, the primary's name there, and how to sign in to the primary and to them."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    database: int
    user: str | None
    password: str | None
    sentinel_password: str | None


def check_database_url(url: str) -> str:
    """Return the address of PostgreSQL; raises `ValueError` that says what is wrong with it."""
    _check(url, DATABASE_SCHEMES, "postgresql://user:password@host:port/name")
    return url


def check_redis_url(url: str) -> str:
    """Return the address of Redis; raises `ValueError` that says what is wrong with it.

    Over TLS the server's certificate is verified, unless the address itself says otherwise: Celery
    would verify nothing.
    """
    _check(url, REDIS_SCHEMES, _REDIS_FORMS)
    if is_sentinel(url):
        parse_sentinel(url)
    return verify_tls(url)


def check_broker_url(url: str) -> str:
    """Return the broker's address; raises `ValueError` that says what is wrong with it."""
    if is_rabbitmq(url):
        _check(url, RABBITMQ_SCHEMES, _BROKER_FORMS)
        return url
    _check(url, REDIS_SCHEMES, _BROKER_FORMS)
    return check_redis_url(url)


def is_rabbitmq(url: str) -> bool:
    """Whether the address is RabbitMQ's."""
    return _split(url).scheme in RABBITMQ_SCHEMES


def is_sentinel(url: str) -> bool:
    """Whether the address names Sentinels, which know where the primary is."""
    return _split(url).scheme == "sentinel"


def parse_sentinel(url: str) -> SentinelAddress:
    """Return the parts of `sentinel://user:password@host:port,host:port/0?master=name`.

    The password is the primary's; the Sentinels' own follows as `&sentinel_password=`.
    """
    parts = _split(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if not query.get("master"):
        raise ValueError(_NO_MASTER)
    login, _, places = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    database = parts.path.strip("/") or "0"
    if not database.isdigit():
        message = f"the database is a number; write {_REDIS_FORMS}"
        raise ValueError(message)
    return SentinelAddress(
        hosts=tuple(_host_and_port(place) for place in places.split(",") if place),
        master=query["master"],
        database=int(database),
        user=unquote(user) or None,
        password=unquote(password) or None,
        sentinel_password=query.get("sentinel_password"),
    )


def verify_tls(url: str) -> str:
    """Return an address of Redis that asks for the verification of the server's certificate."""
    parts = _split(url)
    if parts.scheme != "rediss" or VERIFIED in parse_qs(parts.query):
        return url
    return f"{url}{'&' if parts.query else '?'}{VERIFIED}=required"


def _check(url: str, schemes: frozenset[str], example: str) -> None:
    parts = _split(url)
    if parts.scheme not in schemes:
        fault = f"{parts.scheme}:// is not supported here" if parts.scheme else "it has no scheme"
        message = f"{fault}; write {example}"
        raise ValueError(message)
    has_marks = parts.netloc.count("@") > 1 or "@" in parts.path or bool(parts.fragment)
    if has_marks or not _has_port_or_none(url):
        raise ValueError(_NOT_ENCODED)


def _has_port_or_none(url: str) -> bool:
    """Whether the port is a number, or left out; several hosts (`a:1,b:2`) are allowed."""
    hosts = _split(url).netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    return all(not port or port.isdigit() for port in ports)


def _host_and_port(place: str) -> tuple[str, int]:
    host, bracket, rest = place.rpartition("]")
    name, _, port = (host + bracket, "", rest[1:]) if bracket else place.partition(":")
    return name.strip("[]"), int(port or SENTINEL_PORT)


def _split(url: str) -> SplitResult:
    """Split an address that may name several hosts, some of them IPv6.

    The newer `urlsplit` takes brackets around a single host only; the older one takes any.
    """
    parts = urlsplit(url.replace("[", "%5B").replace("]", "%5D"))
    netloc = parts.netloc.replace("%5B", "[").replace("%5D", "]")
    return parts._replace(netloc=netloc)
