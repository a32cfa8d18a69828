"""Network addresses: a URL's origin, which IP addresses are public, and host names in disguise.

Web Push endpoints are addresses that strangers give us. Registration and the connection itself
both ask here, so that neither accepts what the other refuses.
"""

import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
DEFAULT_PORTS = {"https": 443, "http": 80}

_NOT_PUBLIC_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, the clouds' metadata servers among them
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")
_LOW_32_BITS = 0xFFFF_FFFF
_MOST_PARTS = 4


def origin_of(url: str) -> str:
    """Return the origin of an absolute http or https URL: its scheme, host and port, as spelt.

    That is what RFC 6454 (section 4) makes an origin of. Nothing is normalized: the caller compares
    URLs that were spelt by one rule. The URL must have a path or end with the authority. This is a
    single `find`, because the delivery loop calls it for every request.
    """
    end = url.find("/", len("https://"))
    return url if end < 0 else url[:end]


def authority_of(url: str) -> str:
    """Return the host and port of an absolute URL, as a request's Host header has them."""
    return origin_of(url).partition("://")[2]


def is_public_address(ip: str) -> bool:
    """Whether `ip`, as a resolver or a socket spells it, may be connected to from outside.

    An IPv6 address that a gateway or the system translates to IPv4 is judged as what it becomes.
    What is no address at all is not public.
    """
    address = _literal(ip.partition("%")[0])
    return address is not None and _public(address)


PRIVATE_NAMES = (
    ".localhost",
    ".local",
    ".internal",
    ".home.arpa",
    ".test",
    ".example",
    ".invalid",
)
"""Ends of names that nobody outside can look up (RFC 6761, 6762, 8375; ICANN's `internal`)."""


def is_public_host(host: str) -> bool:
    """Whether people outside could reach this host: a public address, or a name they can look up.

    `host` is a URL's, without its port and without brackets.
    """
    name = host.lower().rstrip(".")
    address = host_as_address(name)
    if address is not None:
        return _public(address)
    return "." in name and not f".{name}".endswith(PRIVATE_NAMES)


def host_as_address(host: str) -> Address | None:
    """Return the address that `host` spells in any way a resolver understands; None for a name.

    Understood are decimal, octal and hexadecimal numbers of one to four parts, full-width digits,
    a final dot, and IPv6 in brackets or not.
    """
    plain = unicodedata.normalize("NFKC", host).strip().strip("[]").partition("%")[0]
    return _literal(plain) or _numbers_and_dots(plain.removesuffix("."))


def _literal(text: str) -> Address | None:
    kind = IPv6Address if ":" in text else IPv4Address
    try:
        return kind(text)
    except ValueError:
        return None


def _public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_4)
    if address in _NAT64 or address in _MAPPED:
        return _public(IPv4Address(int(address) & _LOW_32_BITS))
    return address in GLOBAL_UNICAST_6 and not any(address in block for block in _NOT_PUBLIC_6)


def _numbers_and_dots(text: str) -> IPv4Address | None:
    """Read what `inet_aton` reads: the last of one to four numbers fills the bytes left over."""
    parts = text.split(".")
    if not 1 <= len(parts) <= _MOST_PARTS:
        return None
    numbers = [_number(part) for part in parts]
    *high, low = numbers
    if low is None or None in high or any(n is not None and n > 0xFF for n in high):  # noqa: PLR2004
        return None
    room = 8 * (_MOST_PARTS - len(high))
    if low >= 1 << room:
        return None
    value = low
    for place, n in enumerate(high):
        value |= (n or 0) << (8 * (3 - place))
    return IPv4Address(value)


def _number(part: str) -> int | None:
    """Read one part: 0x.. is hexadecimal, 0.. is octal, everything else decimal."""
    lower_case = part.lower()
    if not (lower_case.isascii() and lower_case.isalnum()) or len(lower_case) > len("0x") + 30:
        return None
    try:
        if lower_case.startswith("0x"):
            return int(lower_case[2:] or "0", 16)
        if lower_case.startswith("0") and len(lower_case) > 1:
            return int(lower_case, 8)
        return int(lower_case)
    except ValueError:
        return None
