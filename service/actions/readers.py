"""What a reader does: sign up, register devices, follow, mute, unfollow, export, be erased."""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from service.actions.apps.app_lookup import AppLookup, check_registration
from service.actions.topics.topic_names import resolve_path
from service.domain.device import (
    EVICTED,
    MAX_APP_VERSION,
    MAX_DEVICES_PER_READER,
    Device,
    Registration,
)
from service.domain.errors import Conflict, Invalid, NotFound, require
from service.domain.language import parse_language, parse_languages, parse_locale
from service.domain.people import QuietHours, Reader, hash_token
from service.domain.subscription import Subscription, Urgency
from service.domain.time_zone import canonical_name
from service.domain.topic import STORY_PREFIX, parse_path
from service.sealing import SealKeys
from service.store.readers import devices, logins, readers, subscriptions
from service.store.schema import ID_LIMIT, new_id
from service.store.stories import topics
from service.unit_of_work import UnitOfWork

MAX_SUBSCRIPTIONS = 1000
_STORY_ID = re.compile(r"[1-9][0-9]{0,18}")


class ReaderChanges(TypedDict, total=False):
    """The settings that a reader may change; those left out stay as they are."""

    language: str
    languages: tuple[str, ...]
    timezone: str
    quiet_hours: QuietHours | None
    alerts_per_day: int | None
    results: bool | None
    digest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Everything stored about a reader."""

    reader: readers.ReaderRecord
    devices: list[devices.DeviceRecord]
    subscriptions: list[subscriptions.SubscriptionRecord]


def register_reader(
    work: UnitOfWork,
    language: str = "en",
    timezone: str = "UTC",
    quiet_hours: QuietHours | None = None,
    languages: tuple[str, ...] = (),
) -> tuple[Reader, str]:
    """Create a reader; returns it with its token, of which only the hash is stored."""
    reader, token = draw_reader(language, timezone, quiet_hours, languages)
    readers.add(work.session, reader, hash_token(token))
    return reader, token


def draw_reader(
    language: str,
    timezone: str,
    quiet_hours: QuietHours | None,
    languages: tuple[str, ...],
) -> tuple[Reader, str]:
    """Return a new reader and its token, neither stored yet; raises `Invalid`."""
    changes: ReaderChanges = {
        "language": language,
        "languages": languages,
        "timezone": timezone,
        "quiet_hours": quiet_hours,
    }
    reader = replace(Reader(id=new_id()), **_check_changes(changes))
    return reader, secrets.token_urlsafe(32)


def change_reader(work: UnitOfWork, reader: Reader, changes: ReaderChanges) -> Reader:
    """Apply `changes`; returns the reader as it is now."""
    values = _check_changes(changes)
    current = require(readers.lock(work.session, reader.id), "reader")
    reader = replace(current, **values)
    readers.change(work.session, reader)
    return reader


def erase_reader(work: UnitOfWork, reader: Reader) -> None:
    """Forget the reader: devices, subscriptions and token are deleted for good."""
    readers.erase(work.session, reader.id)


def export_reader(work: UnitOfWork, reader: Reader) -> Export:
    """Return everything stored about the reader."""
    record = require(readers.export(work.session, reader), "reader")
    return Export(
        reader=record,
        devices=devices.export(work.session, reader.id),
        subscriptions=subscriptions.export(work.session, reader.id),
    )


def register_device(
    work: UnitOfWork, keys: SealKeys, reader: Reader, registration: Registration
) -> tuple[Device, bool]:
    """Give an address to its last registrant; also returns whether the device is new.

    An imported reader at this address, or at the one that it replaces, is this reader: what it
    follows comes with it.
    """
    valid = check_device(AppLookup(work.session, keys), registration)
    _claim_imported(work, reader, valid)
    return devices.register(work.session, reader.id, valid, work.now)


def _claim_imported(work: UnitOfWork, reader: Reader, registration: Registration) -> None:
    addresses = [address for address in (registration.address, registration.replaces) if address]
    hashes = [devices.address_hash(registration.provider, address) for address in addresses]
    if not readers.unclaimed_at(work.session, hashes):
        return
    devices.lock_holders(work.session, hashes)  # nobody else claims them meanwhile
    if readers.lock(work.session, reader.id) is None:
        return
    for imported_id in readers.unclaimed_at(work.session, hashes):
        logins.join(
            work.session,
            imported_id,
            reader.id,
            most_devices=MAX_DEVICES_PER_READER,
            most_subscriptions=MAX_SUBSCRIPTIONS,
            why_evicted=EVICTED,
        )


def check_device(lookup: AppLookup, registration: Registration) -> Registration:
    """Return the registration in its normal form; raises `Invalid`."""
    valid = check_registration(lookup, registration)
    return replace(
        valid,
        locale=parse_locale(registration.locale),
        app_version=_app_version(registration.app_version),
        replaces=_old_address(lookup, registration, valid.address),
    )


def remove_device(work: UnitOfWork, reader: Reader, device_id: int) -> None:
    """Remove one of the reader's devices; `NotFound` when the reader has no such device."""
    if not devices.remove(work.session, reader.id, device_id, work.now):
        raise NotFound("You have no such device.")


def follow(
    work: UnitOfWork,
    reader: Reader,
    path: str,
    least_urgency: Urgency = Urgency.QUIET,
    muted_until: datetime | None = None,
) -> tuple[Subscription, bool]:
    """Follow a topic, or `story/<id>` for one story; also returns whether that is new.

    A topic may be named by its path or by its code, `medtop:15000000`.
    """
    path, topic_id = _require_topic(work, resolve_path(work.session, path))
    subscription = Subscription(topic=path, least_urgency=least_urgency, muted_until=muted_until)
    if subscriptions.change(work.session, reader.id, topic_id, subscription):
        return subscription, False
    require(readers.lock(work.session, reader.id), "reader")
    if subscriptions.count(work.session, reader.id) >= MAX_SUBSCRIPTIONS:
        raise Conflict(f"You follow {MAX_SUBSCRIPTIONS:,} topics, and that is the most we keep.")
    return subscription, subscriptions.add(work.session, reader.id, topic_id, subscription)


def get_subscription(work: UnitOfWork, reader: Reader, path: str) -> Subscription:
    """Return the reader's subscription to the topic; `NotFound` without one."""
    subscription = subscriptions.get(work.session, reader.id, _normal_name(work, path))
    if subscription is None:
        raise NotFound(f"You do not follow {path[:80]!r}.")
    return subscription


def unfollow(work: UnitOfWork, reader: Reader, path: str) -> None:
    """Stop following a topic, followed or not; `NotFound` only when the topic does not exist."""
    normal_path = _normal_name(work, path)
    if not subscriptions.remove(work.session, reader.id, normal_path):
        _require_topic(work, normal_path)


def _check_changes(changes: ReaderChanges) -> ReaderChanges:
    values = changes.copy()
    if "language" in values:
        values["language"] = parse_language(values["language"])
    if "languages" in values:
        values["languages"] = parse_languages(values["languages"])
    if "timezone" in values:
        values["timezone"] = _canonical_time_zone(values["timezone"])
    return values


def _canonical_time_zone(name: str) -> str:
    canonical = canonical_name(name)
    if canonical is None:
        raise Invalid(
            "timezone", f"{name[:40]!r} is not a time zone: use a name like Asia/Kolkata."
        )
    return canonical


def _app_version(version: str) -> str:
    if len(version) > MAX_APP_VERSION or not version.isprintable():
        raise Invalid("app_version", f"Use at most {MAX_APP_VERSION} printable characters.")
    return version


def _old_address(lookup: AppLookup, registration: Registration, new_address: str) -> str | None:
    """Return the normal form of the address to be replaced; None when no device can have it."""
    if registration.replaces is None:
        return None
    try:
        old = replace(registration, address=registration.replaces, replaces=None)
        address = check_registration(lookup, old).address
    except Invalid:
        return None
    return address if address != new_address else None


def _normal_name(work: UnitOfWork, name: str) -> str:
    """Return the normal form of a path, or the path that a code stands for."""
    return normalize_path(resolve_path(work.session, name))


def _require_topic(work: UnitOfWork, path: str) -> tuple[str, int]:
    """Return the normal form of a topic's path, and its id; raises `NotFound`."""
    normal_path = normalize_path(path)
    if normal_path.startswith(STORY_PREFIX):
        story_id = int(normal_path.removeprefix(STORY_PREFIX))
        return normal_path, topics.ensure_story_topic(work.session, story_id)
    topic = topics.by_paths(work.session, [normal_path]).get(normal_path)
    if topic is None:
        raise _no_topic(path)
    return normal_path, topic.id


def normalize_path(path: str) -> str:
    """Return the normal form of a path; raises `NotFound` when no topic can have it."""
    if path.startswith(STORY_PREFIX):
        story_id = path.removeprefix(STORY_PREFIX)
        if not _STORY_ID.fullmatch(story_id) or int(story_id) >= ID_LIMIT:
            raise _no_topic(path)
        return path
    try:
        return parse_path(path)
    except Invalid:
        raise _no_topic(path) from None


def _no_topic(path: str) -> NotFound:
    return NotFound(f"There is no topic {path[:80]!r}.")
