"""Login: this browser or app, anonymous until now, becomes one with a person of the publisher's.

The rules of joining:

- Nobody has logged in as this person yet: the anonymous reader becomes the person, with all that
  it follows.
- Otherwise the two become one. Devices and follows are united; where both follow a topic, and for
  language, time zone and quiet hours, the person's own settings win. The anonymous reader and its
  token end; a new token stands for this login.
- A login as another person comes after a logout from the first.
- After a logout the token and the devices that came through it are an anonymous reader's again. It
  follows nothing: another person may hold the device now. The person keeps everything else.
"""

import secrets
from dataclasses import dataclass, replace

from service.actions.apps.login_tokens import read_app, read_external_id
from service.actions.readers import MAX_SUBSCRIPTIONS
from service.domain.device import EVICTED, MAX_DEVICES_PER_READER
from service.domain.errors import Conflict, Forbidden, require
from service.domain.people import Reader, hash_token
from service.sealing import SealKeys
from service.store.operations import apps
from service.store.readers import logins, readers
from service.store.schema import new_id
from service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Login:
    """The reader after a login; `token` is a new one, None where the present one goes on."""

    reader: Reader
    token: str | None


def log_in(
    work: UnitOfWork, keys: SealKeys, reader: Reader, token_hash: bytes, signed: str
) -> Login:
    """Join this login to the person that the app's backend names; raises `Forbidden`.

    Raises `Conflict` when another login by the same token came between.
    """
    app_name = read_app(signed)
    app = apps.get(work.session, app_name)
    login_key = "" if app is None or app.disabled_at else apps.open_login_key(keys, app)
    if not login_key:
        raise Forbidden(f"The app {app_name[:40]!r} takes no logins: it has no login key.")
    external_id = read_external_id(signed, login_key, app_name, work.now)
    person_id = logins.find_person(work.session, external_id)
    if person_id == reader.id:
        return Login(reader, None)
    reader = _anonymous_reader(work, reader, token_hash)
    if person_id is None:
        logins.name_person(work.session, reader.id, external_id)
        devices = logins.device_ids(work.session, reader.id)
        logins.note_login(work.session, token_hash, reader.id, devices)
        return Login(reader, None)
    return _join(work, reader, person_id)


def log_out(work: UnitOfWork, reader: Reader, token_hash: bytes) -> Reader:
    """Make this token and its devices anonymous again; one that is no login stays as it is."""
    return _end_login(work, reader, token_hash) or reader


def note_registration(work: UnitOfWork, token_hash: bytes, device_id: int) -> None:
    """Note through which login a device came; it leaves with that login."""
    logins.note_device(work.session, token_hash, device_id)


def _anonymous_reader(work: UnitOfWork, reader: Reader, token_hash: bytes) -> Reader:
    """Return the reader of this token as nobody's, locked; it leaves its person if it has one."""
    current = readers.lock(work.session, reader.id)
    if current is not None and logins.external_id_of(work.session, reader.id) is not None:
        current = _end_login(work, current, token_hash)
    if current is None:
        raise Conflict("Another login by this token came between: try again.")
    return current


def _end_login(work: UnitOfWork, reader: Reader, token_hash: bytes) -> Reader | None:
    """Return an anonymous reader with the token and its devices; None when it is no login."""
    device_ids = logins.end_login(work.session, token_hash, reader.id)
    if device_ids is None:
        return None
    anonymous = replace(reader, id=new_id(), quiet_hours=None, alerts_per_day=None, digest=False)
    readers.add(work.session, anonymous, token_hash)
    logins.move_devices(work.session, reader.id, anonymous.id, device_ids)
    return anonymous


def _join(work: UnitOfWork, reader: Reader, person_id: int) -> Login:
    person = require(readers.lock(work.session, person_id), "person")
    moved = logins.join(
        work.session,
        reader.id,
        person_id,
        most_devices=MAX_DEVICES_PER_READER,
        most_subscriptions=MAX_SUBSCRIPTIONS,
        why_evicted=EVICTED,
    )
    token = secrets.token_urlsafe(32)
    logins.note_login(work.session, hash_token(token), person_id, moved)
    results = reader.results if person.results is None else person.results
    return Login(replace(person, results=results), token)
