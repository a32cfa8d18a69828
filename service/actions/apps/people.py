"""What a publisher's backend does for a person: shows it, follows for it, erases it."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.actions import readers as reader_actions
from service.actions.readers import MAX_SUBSCRIPTIONS, ReaderChanges
from service.domain.device import Device
from service.domain.errors import Invalid, require
from service.domain.people import Caller, Reader, check_external_id, hash_token
from service.domain.subscription import Subscription
from service.store.readers import devices, logins, readers, subscriptions
from service.store.schema import new_id
from service.store.staff import audit
from service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Person:
    """A person with what it follows and the devices that it has logged in on."""

    external_id: str
    reader: Reader
    subscriptions: Sequence[Subscription]
    devices: Sequence[Device]


def show_person(work: UnitOfWork, external_id: str) -> Person:
    """Return the person; raises `NotFound`."""
    reader = _find(work, external_id)
    page = subscriptions.page(work.session, reader.id, None, MAX_SUBSCRIPTIONS)
    return Person(external_id, reader, page.items, devices.live(work.session, reader.id))


def put_person(
    work: UnitOfWork,
    external_id: str,
    changes: ReaderChanges,
    follows: Mapping[str, Subscription] | None,
) -> Person:
    """Set what is given of a person, who need not have logged in yet.

    `follows`, if given, are all that the person follows from now on.
    """
    check_external_id(external_id)
    reader_id = logins.find_person(work.session, external_id)
    if reader_id is None:
        reader_id = new_id()
        token_hash = hash_token(secrets.token_urlsafe(32))
        readers.add(work.session, Reader(id=reader_id), token_hash)
        logins.name_person(work.session, reader_id, external_id)
    reader = require(readers.lock(work.session, reader_id), "person")
    if changes:
        reader = reader_actions.change_reader(work, reader, changes)
    if follows is not None:
        _follow_exactly(work, reader, follows)
    return show_person(work, external_id)


def erase_person(work: UnitOfWork, external_id: str, caller: Caller) -> None:
    """Delete the person with all devices, follows and logins; raises `NotFound`."""
    reader = _find(work, external_id)
    readers.erase(work.session, reader.id)
    audit.write(work.session, caller.name, "erase", "person", by=caller.label)


def _find(work: UnitOfWork, external_id: str) -> Reader:
    reader_id = logins.find_person(work.session, check_external_id(external_id))
    reader = None if reader_id is None else readers.lock(work.session, reader_id)
    return require(reader, "person")


def _follow_exactly(work: UnitOfWork, reader: Reader, follows: Mapping[str, Subscription]) -> None:
    if len(follows) > MAX_SUBSCRIPTIONS:
        raise Invalid("subscriptions", f"At most {MAX_SUBSCRIPTIONS:,}.")
    page = subscriptions.page(work.session, reader.id, None, MAX_SUBSCRIPTIONS)
    for subscription in page.items:
        if subscription.topic not in follows:
            subscriptions.remove(work.session, reader.id, subscription.topic)
    for topic, subscription in follows.items():
        reader_actions.follow(
            work, reader, topic, subscription.least_urgency, subscription.muted_until
        )
