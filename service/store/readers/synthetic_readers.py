"""Synthetic readers with devices and subscriptions, as the text that COPY takes.

Everything follows from a slice's seed and number; nothing here touches a database. The addresses
are well-formed for their providers, and nobody's.
"""

import base64
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from service.domain.device import MAX_DEVICES_PER_READER
from service.domain.language import base_languages
from service.store.readers.devices import address_hash

NULL = r"\N"


class Profile(NamedTuple):
    """A language, a locale and a place that readers have together, and how common that is.

    Beside their own language such readers read the `others`.
    """

    weight: int
    language: str
    locale: str
    timezone: str
    others: tuple[str, ...] = ()


PROFILES = (
    Profile(22, "hi", "hi-IN", "Asia/Kolkata", ("en",)),
    Profile(18, "en", "en-IN", "Asia/Kolkata"),
    Profile(6, "mr", "mr-IN", "Asia/Kolkata", ("hi", "en")),
    Profile(5, "bn", "bn-BD", "Asia/Dhaka", ("en",)),
    Profile(10, "en", "en-US", "America/New_York"),
    Profile(6, "en", "en-US", "America/Los_Angeles"),
    Profile(6, "en", "en-GB", "Europe/London"),
    Profile(5, "de", "de-DE", "Europe/Berlin", ("en",)),
    Profile(4, "fr", "fr-FR", "Europe/Paris", ("en",)),
    Profile(4, "es", "es-MX", "America/Mexico_City"),
    Profile(4, "pt-BR", "pt-BR", "America/Sao_Paulo"),
    Profile(3, "uk", "uk-UA", "Europe/Kyiv", ("en",)),
    Profile(3, "ar", "ar-EG", "Africa/Cairo"),
    Profile(2, "ja", "ja-JP", "Asia/Tokyo"),
    Profile(2, "en", "en-AU", "Australia/Sydney"),
)
QUIET_HOURS = (("22:00", "07:00"), ("23:00", "06:30"), ("00:00", "06:00"), ("13:00", "14:30"))
APP_VERSIONS = ("5.9.2", "5.11.0", "5.12.0")


class Browser(NamedTuple):
    """A Web Push subscription that something can decrypt for."""

    address: str
    p256dh: str
    auth: str


class Address(NamedTuple):
    """An address and what goes with it."""

    address: str
    kind: str = ""
    p256dh: str = NULL
    auth: str = NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What all slices share: topic ids with the running sums of their weights, and habits."""

    topic_ids: Sequence[int]
    topic_sums: Sequence[float]
    topics_per_reader: float
    profiles: Sequence[Profile]
    quiet: float
    muted: float
    choosy: float
    today: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A range [lo, hi) of the id space to be filled. `devices` counts them by provider."""

    seed: str
    lo: int
    hi: int
    readers: int
    devices: Mapping[str, int]
    browsers: Sequence[Browser] = ()


class Rows(NamedTuple):
    """One slice in COPY's text form, each table sorted by its key."""

    reader: str
    device: str
    subscription: str


def first_id(part: Slice) -> int:
    """Return the id of the slice's first reader: where it is, the whole slice is."""
    return _ids(_rng(part, "reader"), part, part.readers)[0]


def make_rows(part: Slice, habits: Habits) -> Rows:
    """Return the rows of a slice."""
    ids = _ids(_rng(part, "reader"), part, part.readers)
    rng = _rng(part, "life")
    profiles = rng.choices(
        habits.profiles, [profile.weight for profile in habits.profiles], k=len(ids)
    )
    return Rows(
        "".join(_readers(rng, ids, profiles, habits)),
        "".join(_devices(_rng(part, "device"), part, ids, profiles)),
        "".join(_subscriptions(_rng(part, "subscription"), ids, habits)),
    )


def _rng(part: Slice, purpose: str) -> random.Random:
    return random.Random(f"{part.seed} {part.lo} {purpose}")  # noqa: S311 - not secret


def _ids(rng: random.Random, part: Slice, n: int) -> list[int]:
    ids: set[int] = set()
    while len(ids) < n:
        ids.add(rng.randrange(max(1, part.lo), part.hi))
    return sorted(ids)


def _readers(
    rng: random.Random, ids: Sequence[int], profiles: Sequence[Profile], habits: Habits
) -> Iterator[str]:
    for reader_id, profile in zip(ids, profiles, strict=True):
        begin, end = NULL, NULL
        if rng.random() < habits.quiet:
            begin, end = rng.choice(QUIET_HOURS)
        token = rng.randbytes(32).hex()
        bases = ",".join(sorted(base_languages((profile.language, *profile.others))))
        languages = ",".join((profile.language, *profile.others))
        yield (
            f"{reader_id}\t\\\\x{token}\t{profile.language}\t{profile.timezone}\t{begin}\t{end}"
            f"\t{{{languages}}}\t{{{bases}}}\n"
        )


def _devices(
    rng: random.Random, part: Slice, readers: Sequence[int], profiles: Sequence[Profile]
) -> Iterator[str]:
    providers = [name for name, n in part.devices.items() for _ in range(n)]
    rng.shuffle(providers)
    owners = _owners(rng, len(readers), len(providers))
    browsers = iter(part.browsers)
    ids = _ids(rng, part, len(owners))
    for device_id, owner, provider in zip(ids, owners, providers, strict=False):
        make_address = ADDRESS_MAKERS.get(provider)
        place = make_address(rng) if make_address else Address(*_of_browser(next(browsers)))
        digest = address_hash(provider, place.address).hex()
        yield (
            f"{device_id}\t{readers[owner]}\t{provider}\t{place.kind}\t{place.address}"
            f"\t\\\\x{digest}\t{place.p256dh}\t{place.auth}\t{profiles[owner].locale}"
            f"\t{rng.choice(APP_VERSIONS)}\tnow\n"
        )


def _of_browser(browser: Browser) -> tuple[str, str, str, str]:
    return browser.address, "endpoint", browser.p256dh, browser.auth


def _owners(rng: random.Random, readers: int, devices: int) -> list[int]:
    """Give each reader as many devices as the next, and those left over to some, at random."""
    each = min(devices // readers, MAX_DEVICES_PER_READER)
    rest = devices - each * readers if each < MAX_DEVICES_PER_READER else 0
    lucky = rng.sample(range(readers), rest)
    return sorted([*list(range(readers)) * each, *lucky])


def _subscriptions(rng: random.Random, ids: Sequence[int], habits: Habits) -> Iterator[str]:
    if not habits.topic_ids:
        return
    topic_ids, sums, total = habits.topic_ids, habits.topic_sums, habits.topic_sums[-1]
    number = len(topic_ids)
    for reader_id in ids:
        size = min(number, _how_many(rng, habits.topics_per_reader))
        indexes: set[int] = set()
        while len(indexes) < size:
            indexes.add(bisect(sums, rng.random() * total, 0, number - 1))
        for index in sorted(indexes):
            yield f"{reader_id}\t{topic_ids[index]}\t{_terms(rng, habits)}\n"


def _how_many(rng: random.Random, mean: float) -> int:
    """Draw a whole number around `mean`, from none to twice as many."""
    return int(rng.random() * mean + rng.random() * mean + 0.5)


def _terms(rng: random.Random, habits: Habits) -> str:
    luck = rng.random()
    if luck >= habits.choosy + habits.muted:
        return f"0\t{NULL}"
    if luck >= habits.muted:
        return f"{rng.choice((1, 1, 1, 2))}\t{NULL}"
    return f"0\t{(habits.today + timedelta(days=rng.randrange(1, 30))).isoformat()}"


def _base64url(rng: random.Random, size: int) -> str:
    return base64.urlsafe_b64encode(rng.randbytes(size)).decode().rstrip("=")


def _apns(rng: random.Random) -> Address:
    return Address(rng.randbytes(32).hex(), "token")


def _fcm(rng: random.Random) -> Address:
    installation = "cdef"[rng.randrange(4)] + _base64url(rng, 16)[1:22]
    if rng.random() < FID_SHARE:
        return Address(installation, "fid")
    return Address(f"{installation}:APA91b{_base64url(rng, 100)}", "token")


def _hms(rng: random.Random) -> Address:
    return Address("IQAAAA" + _base64url(rng, 90), "token")


def _expo(rng: random.Random) -> Address:
    return Address(f"ExponentPushToken[{_base64url(rng, 16)}]")


FID_SHARE = 0.3
ADDRESS_MAKERS: Mapping[str, Callable[[random.Random], Address]] = {
    "apns": _apns,
    "fcm": _fcm,
    "hms": _hms,
    "expo": _expo,
}
"""By provider: what draws an address that no device has."""
WITH_KEYS = "webpush"
"""The provider whose addresses come from outside, with keys that something can decrypt with."""
