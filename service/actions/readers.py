"""The verbs of a reader: become known, register a device, follow, mute, unfollow, be forgotten."""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from service import provider_door
from service.domain.device import MAX_APP_VERSION, Device, Registration
from service.domain.errors import Conflict, Invalid, NotFound, require
from service.domain.language import parse_language, parse_locale
from service.domain.people import QuietHours, Reader, hash_token
from service.domain.subscription import Subscription, Urgency
from service.domain.topic import STORY_PREFIX, parse_path
from service.store.readers import devices, readers, subscriptions
from service.store.schema import ID_LIMIT, new_id
from service.store.stories import topics
from service.unit_of_work import UnitOfWork

MAX_SUBSCRIPTIONS = 1000
_STORY_ID = re.compile(r"[1-9][0-9]{0,18}")


class Wishes(TypedDict, total=False):
    """What a reader may change of itself; what is left out stays as it is."""

    language: str
    timezone: str
    quiet_hours: QuietHours | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All that is kept of a reader, for the reader."""

    reader: readers.ReaderRecord
    devices: list[devices.DeviceRecord]
    subscriptions: list[subscriptions.SubscriptionRecord]


def register_reader(
    work: UnitOfWork,
    language: str = "en",
    timezone: str = "UTC",
    quiet_hours: QuietHours | None = None,
) -> tuple[Reader, str]:
    """Make a new reader; returns it with its token, which is kept as a hash only."""
    asked: Wishes = {"language": language, "timezone": timezone, "quiet_hours": quiet_hours}
    reader = replace(Reader(id=new_id()), **_checked(work, asked))
    token = secrets.token_urlsafe(32)
    readers.add(work.session, reader, hash_token(token))
    return reader, token


def change(work: UnitOfWork, reader: Reader, wishes: Wishes) -> Reader:
    """Change what is in `wishes` and nothing else; returns the reader as it is now."""
    checked = _checked(work, wishes)
    current = require(readers.lock(work.session, reader.id), "reader")
    changed = replace(current, **checked)
    readers.change(work.session, changed)
    return changed


def erase(work: UnitOfWork, reader: Reader) -> None:
    """Forget the reader: devices, subscriptions and token are deleted for good."""
    readers.erase(work.session, reader.id)


def export(work: UnitOfWork, reader: Reader) -> Export:
    """Return all that is kept of the reader."""
    held = require(readers.export(work.session, reader), "reader")
    return Export(
        reader=held,
        devices=devices.export(work.session, reader.id),
        subscriptions=subscriptions.export(work.session, reader.id),
    )


def register_device(
    work: UnitOfWork, reader: Reader, registration: Registration
) -> tuple[Device, bool]:
    """Give an address to its last registrant; says whether that made a new device."""
    checked = provider_door.check(registration.provider, registration)
    if registration.p256dh is not None and checked.p256dh is None:
        raise Invalid("keys", "Only browsers have keys.")
    checked = replace(
        checked,
        locale=parse_locale(registration.locale),
        app_version=_app_version(registration.app_version),
        replaces=_old_address(checked, registration.replaces),
    )
    return devices.register(work.session, reader.id, checked, work.now)


def remove_device(work: UnitOfWork, reader: Reader, device_id: int) -> None:
    """Take out one of the reader's devices; `NotFound` when it is nobody's or another's."""
    if not devices.remove(work.session, reader.id, device_id, work.now):
        raise NotFound("You have no such device.")


def follow(
    work: UnitOfWork,
    reader: Reader,
    path: str,
    least_urgency: Urgency = Urgency.QUIET,
    muted_until: datetime | None = None,
) -> tuple[Subscription, bool]:
    """Follow a topic, or `story/<id>` for one story, on these terms; says whether that is new."""
    path, topic_id = _topic(work, path)
    wanted = Subscription(topic=path, least_urgency=least_urgency, muted_until=muted_until)
    if subscriptions.change(work.session, reader.id, topic_id, wanted):
        return wanted, False
    require(readers.lock(work.session, reader.id), "reader")
    if subscriptions.count(work.session, reader.id) >= MAX_SUBSCRIPTIONS:
        raise Conflict(f"You follow {MAX_SUBSCRIPTIONS:,} topics, and that is the most we keep.")
    return wanted, subscriptions.add(work.session, reader.id, topic_id, wanted)


def subscription_to(work: UnitOfWork, reader: Reader, path: str) -> Subscription:
    """Return the reader's subscription to the topic; `NotFound` without one."""
    found = subscriptions.get(work.session, reader.id, _spelt(path))
    if found is None:
        raise NotFound(f"You do not follow {path[:80]!r}.")
    return found


def unfollow(work: UnitOfWork, reader: Reader, path: str) -> None:
    """Stop following a topic; not having followed it is as well, only an unknown one is not."""
    if not subscriptions.remove(work.session, reader.id, _spelt(path)):
        _topic(work, path)


def _checked(work: UnitOfWork, wishes: Wishes) -> Wishes:
    checked = wishes.copy()
    if "language" in checked:
        checked["language"] = parse_language(checked["language"])
    if "timezone" in checked and not readers.has_time_zone(work.session, checked["timezone"]):
        name = checked["timezone"][:40]
        raise Invalid("timezone", f"{name!r} is not a time zone: use a name like Asia/Kolkata.")
    return checked


def _app_version(version: str) -> str:
    if len(version) > MAX_APP_VERSION or not version.isprintable():
        raise Invalid("app_version", f"Use at most {MAX_APP_VERSION} printable characters.")
    return version


def _old_address(registration: Registration, replaces: str | None) -> str | None:
    """Return the address to be replaced in its one spelling; None when it can never have been."""
    if replaces is None:
        return None
    try:
        old = replace(registration, address=replaces, replaces=None)
        address = provider_door.check(registration.provider, old).address
    except Invalid:
        return None
    return address if address != registration.address else None


def _topic(work: UnitOfWork, path: str) -> tuple[str, int]:
    """Return a topic's path in its one spelling and its id, or raise `NotFound`."""
    spelt = _spelt(path)
    if spelt.startswith(STORY_PREFIX):
        story_id = int(spelt.removeprefix(STORY_PREFIX))
        return spelt, topics.ensure_story_topic(work.session, story_id)
    found = topics.by_paths(work.session, [spelt]).get(spelt)
    if found is None:
        raise _no_topic(path)
    return spelt, found.id


def _spelt(path: str) -> str:
    """Return the path in its one spelling; what cannot be a topic's is a topic that is not."""
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
