"""Made-up readers with devices and subscriptions, as the text that COPY takes.

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
from service.store.readers.devices import address_hash

NULL = r"\N"


class Life(NamedTuple):
    """How common it is to read in a language, on phones of a locale, at a place."""

    weight: int
    language: str
    locale: str
    timezone: str


LIVES = (
    Life(22, "hi", "hi-IN", "Asia/Kolkata"),
    Life(18, "en", "en-IN", "Asia/Kolkata"),
    Life(6, "mr", "mr-IN", "Asia/Kolkata"),
    Life(5, "bn", "bn-BD", "Asia/Dhaka"),
    Life(10, "en", "en-US", "America/New_York"),
    Life(6, "en", "en-US", "America/Los_Angeles"),
    Life(6, "en", "en-GB", "Europe/London"),
    Life(5, "de", "de-DE", "Europe/Berlin"),
    Life(4, "fr", "fr-FR", "Europe/Paris"),
    Life(4, "es", "es-MX", "America/Mexico_City"),
    Life(4, "pt-BR", "pt-BR", "America/Sao_Paulo"),
    Life(3, "uk", "uk-UA", "Europe/Kyiv"),
    Life(3, "ar", "ar-EG", "Africa/Cairo"),
    Life(2, "ja", "ja-JP", "Asia/Tokyo"),
    Life(2, "en", "en-AU", "Australia/Sydney"),
)
QUIET_HOURS = (("22:00", "07:00"), ("23:00", "06:30"), ("00:00", "06:00"), ("13:00", "14:30"))
APP_VERSIONS = ("5.9.2", "5.11.0", "5.12.0")


class Browser(NamedTuple):
    """A Web Push subscription that something can decrypt for."""

    address: str
    p256dh: str
    auth: str


class Drawn(NamedTuple):
    """An address and what goes with it."""

    address: str
    kind: str = ""
    p256dh: str = NULL
    auth: str = NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Tastes:
    """What all slices share: topic ids with the running sums of their weights, and habits."""

    topic_ids: Sequence[int]
    topic_sums: Sequence[float]
    topics_per_reader: float
    lives: Sequence[Life]
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
    return _ids(_dice(part, "reader"), part, part.readers)[0]


def make(part: Slice, tastes: Tastes) -> Rows:
    """Return the rows of a slice."""
    ids = _ids(_dice(part, "reader"), part, part.readers)
    dice = _dice(part, "life")
    lives = dice.choices(tastes.lives, [life.weight for life in tastes.lives], k=len(ids))
    return Rows(
        "".join(_readers(dice, ids, lives, tastes)),
        "".join(_devices(_dice(part, "device"), part, ids, lives)),
        "".join(_subscriptions(_dice(part, "subscription"), ids, tastes)),
    )


def _dice(part: Slice, purpose: str) -> random.Random:
    return random.Random(f"{part.seed} {part.lo} {purpose}")  # noqa: S311 - made up, not secret


def _ids(dice: random.Random, part: Slice, n: int) -> list[int]:
    ids: set[int] = set()
    while len(ids) < n:
        ids.add(dice.randrange(max(1, part.lo), part.hi))
    return sorted(ids)


def _readers(
    dice: random.Random, ids: Sequence[int], lives: Sequence[Life], tastes: Tastes
) -> Iterator[str]:
    for reader_id, life in zip(ids, lives, strict=True):
        begin, end = NULL, NULL
        if dice.random() < tastes.quiet:
            begin, end = dice.choice(QUIET_HOURS)
        token = dice.randbytes(32).hex()
        yield (f"{reader_id}\t\\\\x{token}\t{life.language}\t{life.timezone}\t{begin}\t{end}\n")


def _devices(
    dice: random.Random, part: Slice, readers: Sequence[int], lives: Sequence[Life]
) -> Iterator[str]:
    providers = [name for name, n in part.devices.items() for _ in range(n)]
    dice.shuffle(providers)
    owners = _owners(dice, len(readers), len(providers))
    browsers = iter(part.browsers)
    ids = _ids(dice, part, len(owners))
    for device_id, owner, provider in zip(ids, owners, providers, strict=False):
        draw = DRAW.get(provider)
        drawn = draw(dice) if draw else Drawn(*_of_browser(next(browsers)))
        digest = address_hash(provider, drawn.address).hex()
        yield (
            f"{device_id}\t{readers[owner]}\t{provider}\t{drawn.kind}\t{drawn.address}"
            f"\t\\\\x{digest}\t{drawn.p256dh}\t{drawn.auth}\t{lives[owner].locale}"
            f"\t{dice.choice(APP_VERSIONS)}\n"
        )


def _of_browser(browser: Browser) -> tuple[str, str, str, str]:
    return browser.address, "endpoint", browser.p256dh, browser.auth


def _owners(dice: random.Random, readers: int, devices: int) -> list[int]:
    """Give each reader as many devices as the next, and those left over to some, at random."""
    each = min(devices // readers, MAX_DEVICES_PER_READER)
    rest = devices - each * readers if each < MAX_DEVICES_PER_READER else 0
    lucky = dice.sample(range(readers), rest)
    return sorted([*list(range(readers)) * each, *lucky])


def _subscriptions(dice: random.Random, ids: Sequence[int], tastes: Tastes) -> Iterator[str]:
    if not tastes.topic_ids:
        return
    topic_ids, sums, total = tastes.topic_ids, tastes.topic_sums, tastes.topic_sums[-1]
    most = len(topic_ids)
    for reader_id in ids:
        wanted = min(most, _how_many(dice, tastes.topics_per_reader))
        followed: set[int] = set()
        while len(followed) < wanted:
            followed.add(bisect(sums, dice.random() * total, 0, most - 1))
        for index in sorted(followed):
            yield f"{reader_id}\t{topic_ids[index]}\t{_terms(dice, tastes)}\n"


def _how_many(dice: random.Random, mean: float) -> int:
    """Draw a whole number around `mean`, from none to twice as many."""
    return int(dice.random() * mean + dice.random() * mean + 0.5)


def _terms(dice: random.Random, tastes: Tastes) -> str:
    luck = dice.random()
    if luck >= tastes.choosy + tastes.muted:
        return f"0\t{NULL}"
    if luck >= tastes.muted:
        return f"{dice.choice((1, 1, 1, 2))}\t{NULL}"
    return f"0\t{(tastes.today + timedelta(days=dice.randrange(1, 30))).isoformat()}"


def _base64url(dice: random.Random, size: int) -> str:
    return base64.urlsafe_b64encode(dice.randbytes(size)).decode().rstrip("=")


def _apns(dice: random.Random) -> Drawn:
    return Drawn(dice.randbytes(32).hex(), "token")


def _fcm(dice: random.Random) -> Drawn:
    installation = "cdef"[dice.randrange(4)] + _base64url(dice, 16)[1:22]
    if dice.random() < FID_SHARE:
        return Drawn(installation, "fid")
    return Drawn(f"{installation}:APA91b{_base64url(dice, 100)}", "token")


def _hms(dice: random.Random) -> Drawn:
    return Drawn("IQAAAA" + _base64url(dice, 90), "token")


def _expo(dice: random.Random) -> Drawn:
    return Drawn(f"ExponentPushToken[{_base64url(dice, 16)}]")


FID_SHARE = 0.3
DRAW: Mapping[str, Callable[[random.Random], Drawn]] = {
    "apns": _apns,
    "fcm": _fcm,
    "hms": _hms,
    "expo": _expo,
}
"""How an address looks that nobody has."""
WITH_KEYS = "webpush"
"""Whose addresses come with keys, from outside: something must be able to decrypt for them."""
