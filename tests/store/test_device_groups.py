"""Registrations in groups: what is usual is written at once, and nothing waits for a lock."""

import pytest
from sqlalchemy import text
from sqlmodel import Session

from service.domain.device import MAX_DEVICES_PER_READER, Registration
from service.domain.people import Reader
from service.store.readers import device_groups, devices, logins, readers
from service.store.schema import new_id
from service.store.session import database_now, transaction

ENDPOINT = "https://push.example/"


@pytest.fixture
def a_reader(engine):
    """Add a reader; returns its id and the hash of its token."""

    def add() -> tuple[int, bytes]:
        reader = Reader(id=new_id())
        with transaction(engine) as session:
            readers.add(session, reader, reader.id.to_bytes(32))
        return reader.id, reader.id.to_bytes(32)

    return add


@pytest.fixture
def register(engine):
    """Register an address on the ordinary path."""

    def register(reader_id, address, **more):
        with transaction(engine) as session:
            return devices.register(
                session, reader_id, a_phone(address, **more), database_now(session)
            )

    return register


def a_phone(address, **more):
    return Registration(**{"provider": "apns", "address": address, "kind": "token"} | more)


def a_browser(address):
    return a_phone(ENDPOINT + address, provider="webpush", kind="endpoint", p256dh="p", auth="a")


@pytest.fixture
def add(engine):
    """Add devices as a group does, each statement by itself."""

    def add(*registrations):
        autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        with Session(autocommit) as session:
            return device_groups.add_all(session, registrations)

    return add


@pytest.fixture
def rows(engine):
    def rows():
        with engine.connect() as connection:
            return connection.execute(text("SELECT * FROM device ORDER BY address")).all()

    return rows


def test_addresses_that_nobody_has_become_devices_that_no_alert_has_tried(a_reader, add, rows):
    readers_of = [a_reader() for _ in range(3)]
    ids = add(
        (readers_of[0][1], a_phone("aa", locale="pt-BR", app_version="1.2")),
        (readers_of[1][1], a_browser("b")),
        (readers_of[2][1], a_phone("cc", app="sport")),
    )
    first, third, second = rows()
    assert [first.id, second.id, third.id] == ids
    assert [row.reader_id for row in (first, second, third)] == [one for one, _ in readers_of]
    assert (first.provider, first.kind, first.locale, first.app_version) == (
        ("apns", "token", "pt-BR", "1.2")
    )
    assert (second.provider, second.p256dh, second.auth) == ("webpush", "p", "a")
    assert third.provider == "sport"
    for row in (first, second, third):
        assert (row.trusted_at, row.gone_at, row.refusals, row.suspect_at) == (None, None, 0, None)
    assert first.address_hash == devices.address_hash("apns", "aa")


def test_what_is_unusual_is_left_to_the_ordinary_path(a_reader, add, register, rows, engine):
    other, _ = a_reader()
    register(other, "taken")
    returning, returning_token = a_reader()
    full, full_token = a_reader()
    for n in range(MAX_DEVICES_PER_READER - device_groups.MARGIN):
        register(full, f"f{n}")
    person, person_token = a_reader()
    gone = [register(returning, "back")[0].id, register(other, "dead", kind="endpoint")[0].id]
    with transaction(engine) as session:
        devices.forget(session, [(device_id, None) for device_id in gone], "410")
        logins.name_person(session, person, "person-1")
    before = rows()
    _, anybody = a_reader()
    calls = {
        "another reader has it": (anybody, a_phone("taken")),
        "an endpoint that is dead": (anybody, a_phone("dead", kind="endpoint")),
        "the reader's own that was gone": (returning_token, a_phone("back")),
        "nearly as many as we keep": (full_token, a_phone("more")),
        "somebody who logged in": (person_token, a_phone("new")),
        "a token that nobody has": (bytes(32), a_phone("newer")),
    }
    for reason, call in calls.items():
        assert add(call) == [None], reason
    assert rows() == before


def test_a_locked_reader_or_address_delays_no_neighbour(a_reader, add, register, engine):
    (busy, busy_token), (_, free_token), (_, third_token) = (a_reader() for _ in range(3))
    with transaction(engine) as session:
        readers.lock(session, busy)
        key = devices.lock_key(devices.address_hash("apns", "held"))
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        ids = add(
            (busy_token, a_phone("aa")),
            (free_token, a_phone("bb")),
            (third_token, a_phone("held")),
        )
    assert [device_id is not None for device_id in ids] == [False, True, False]


def test_a_locked_device_is_not_renewed_and_its_neighbours_are(a_reader, register, engine):
    people = [a_reader() for _ in range(3)]
    ids = [register(reader, f"a{n}")[0].id for n, (reader, _) in enumerate(people)]
    calls = [(token, a_phone(f"a{n}")) for n, (_, token) in enumerate(people)]
    with transaction(engine) as holder:
        holder.execute(text("SELECT id FROM device WHERE id = :id FOR UPDATE"), {"id": ids[1]})
        with transaction(engine) as session:
            assert device_groups.renew_all(session, calls) == [ids[0], None, ids[2]]
