"""A device: one place where a reader can be reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

MAX_DEVICES_PER_READER = 16
MAX_TOMBSTONES_PER_READER = 32
MAX_ADDRESS = 2048
MAX_APP_VERSION = 64

ENDPOINT = "endpoint"
"""The kind of address that never comes alive again once its push service has ended it (404, 410).

A token of Apple or Google may: an app that is installed again can get the same one.
"""

MOVED = "moved"
"""Another reader registered the address: it belongs to its last registrant."""
REPLACED = "replaced"
"""The same reader's device came back under another address."""
EVICTED = "evicted"
"""The reader registered more devices than we keep."""
REMOVED = "removed"
"""The reader removed the device."""
UNSEEN = "unseen"
"""It had not registered for so long that nobody uses it any more."""


@dataclass(frozen=True, slots=True)
class History:
    """What earlier alerts say of a device.

    `accepted_before`: the provider has accepted a push for it, or an administrator imported it.
    `refusals` counts the alerts since then that were refused; `suspect_for_a_day`: an alert a day
    ago or more gave reason to doubt it.
    """

    accepted_before: bool = True
    refusals: int = 0
    suspect_for_a_day: bool = False

    @classmethod
    def unpack(cls, bits: int) -> "History":
        """Read what the store packs for the batches: 0 for nearly every device."""
        return cls(not bits & 1, bits >> 2, bool(bits & 2))


NOTHING_AGAINST_IT = History()
"""The history of a device that was accepted before, and never refused since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a reader may know of a registered device: never its address, which is a secret."""

    id: int
    provider: str
    locale: str
    app_version: str
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A device that registers: `p256dh` and `auth` are Web Push keys, base64url.

    `app` is the app's name, the provider's own for its default app. `vapid_key` is the public key
    that a browser subscribed with; once checked, its id.
    """

    provider: str
    address: str
    kind: str = ""
    p256dh: str | None = None
    auth: str | None = None
    locale: str = ""
    app_version: str = ""
    replaces: str | None = None
    app: str = ""
    vapid_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcernedDevice:
    """A device that a registration may change: the reader's own, or the one with the address.

    A tombstone (`live` is false) still has its address hash only when its provider called it gone.
    """

    id: int
    mine: bool
    live: bool
    address_hash: bytes
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a registration does: which device takes it, and which become tombstones, and why.

    `keep` is None for a new device. `purge` are old tombstones, deleted for good.
    """

    keep: int | None
    tombstones: tuple[tuple[int, str], ...] = ()
    purge: tuple[int, ...] = ()


def place(
    devices: Sequence[ConcernedDevice], address_hash: bytes, replaced_hash: bytes | None
) -> Placement:
    """Decide where the address hashed as `address_hash` belongs, given all the devices concerned.

    It is the reader's device that has it already, else the one whose address it replaces, else
    the one that its provider called gone under this very address, else a new one. Nobody else
    keeps it, and what it replaces does not live on beside it.
    """
    readers_own = [device for device in devices if device.mine]
    live = [device for device in readers_own if device.live]
    other_owners = [
        d.id for d in devices if d.live and not d.mine and d.address_hash == address_hash
    ]
    holder = _with_hash(live, address_hash)
    old = _with_hash(live, replaced_hash)
    tombstones = [(device, MOVED) for device in other_owners]
    if holder is not None:
        if old is not None and old.id != holder.id:
            tombstones.append((old.id, REPLACED))
        return Placement(keep=holder.id, tombstones=tuple(tombstones))
    if old is not None:
        return Placement(keep=old.id, tombstones=tuple(tombstones))
    surplus = len(live) + 1 - MAX_DEVICES_PER_READER
    tombstones += [(d.id, EVICTED) for d in sorted(live, key=_age)[: max(0, surplus)]]
    dead = [device for device in readers_own if not device.live]
    returning = None if other_owners else _with_hash(dead, address_hash)
    rest = sorted((d for d in dead if d is not returning), key=_age, reverse=True)
    return Placement(
        keep=None if returning is None else returning.id,
        tombstones=tuple(tombstones),
        purge=tuple(device.id for device in rest[MAX_TOMBSTONES_PER_READER:]),
    )


def _with_hash(
    devices: Sequence[ConcernedDevice], address_hash: bytes | None
) -> ConcernedDevice | None:
    if not address_hash:
        return None
    return next((device for device in devices if device.address_hash == address_hash), None)


def _age(device: ConcernedDevice) -> tuple[datetime, int]:
    return device.registered_at, device.id


PROVIDER_LABELS: Mapping[str, str] = {
    "apns": "iPhone and iPad",
    "fcm": "Android",
    "webpush": "Browsers",
    "hms": "Huawei",
    "expo": "Expo apps",
    "console": "Console",
}
"""The kind of device that each provider reaches, in people's words."""
