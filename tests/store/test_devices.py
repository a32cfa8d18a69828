import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text

from service.domain.device import MAX_TOMBSTONES_PER_READER, Registration
from service.domain.errors import AddressGone, NotFound
from service.domain.people import Reader
from service.store.readers import device_history, devices, readers
from service.store.schema import new_id
from service.store.session import transaction
from tests import builders as a

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def a_reader(engine):
    def add() -> int:
        reader = Reader(id=new_id())
        with transaction(engine) as session:
            readers.add(session, reader, reader.id.to_bytes(32))
        return reader.id

    return add


@pytest.fixture
def register(engine):
    def at_minute(reader_id, address, minute=0, **more):
        registration = Registration(provider="apns", address=address, **more)
        with transaction(engine) as session:
            return devices.register(
                session, reader_id, registration, NOON + timedelta(minutes=minute)
            )

    return at_minute


@pytest.fixture
def rows(engine):
    def read(where="true"):
        with engine.connect() as connection:
            found = connection.execute(text(f"SELECT * FROM device WHERE {where} ORDER BY id"))
            return [dict(row) for row in found.mappings()]

    return read


def live_ids(engine, reader_id):
    with transaction(engine) as session:
        return {device.id for device in devices.live(session, reader_id)}


def test_a_new_address_makes_a_new_device(a_reader, register, rows):
    reader = a_reader()
    device, is_new = register(reader, "aa", locale="pt-BR", app_version="1.2")
    assert is_new
    (row,) = rows()
    assert (row["id"], row["reader_id"], row["address"]) == (device.id, reader, "aa")
    assert (device.provider, device.locale, device.app_version) == ("apns", "pt-BR", "1.2")
    assert device.registered_at == NOON
    assert row["address_hash"] == devices.address_hash("apns", "aa")


def test_the_same_reader_renews_its_device(a_reader, register, rows):
    reader = a_reader()
    first, _ = register(reader, "aa", p256dh="old", auth="old", locale="en")
    again, is_new = register(reader, "aa", 5, p256dh="new", auth="newer", locale="hi")
    assert (again.id, is_new) == (first.id, False)
    (row,) = rows()
    assert (row["p256dh"], row["auth"], row["locale"]) == ("new", "newer", "hi")
    assert row["registered_at"] == NOON + timedelta(minutes=5)


def test_the_same_text_at_another_provider_is_another_address(a_reader, register, engine):
    reader = a_reader()
    first, _ = register(reader, "aa")
    with transaction(engine) as session:
        other, is_new = devices.register(
            session, reader, Registration(provider="hms", address="aa"), NOON
        )
    assert is_new
    assert live_ids(engine, reader) == {first.id, other.id}


def test_an_address_moves_to_its_last_registrant_under_a_new_id(a_reader, register, rows):
    first_owner, second_owner = a_reader(), a_reader()
    old, _ = register(first_owner, "aa", p256dh="k", auth="k")
    new, is_new = register(second_owner, "aa", 1)
    assert is_new
    assert new.id != old.id
    (tombstone,) = rows("gone_at IS NOT NULL")
    assert (tombstone["id"], tombstone["gone_why"]) == (old.id, "moved")
    assert tombstone["reader_id"] == first_owner
    (alive,) = rows("gone_at IS NULL")
    assert (alive["id"], alive["reader_id"]) == (new.id, second_owner)


def test_a_tombstone_keeps_nothing_of_the_address(a_reader, register, rows):
    register(a_reader(), "aa", p256dh="k", auth="k")
    register(a_reader(), "aa")
    (tombstone,) = rows("gone_at IS NOT NULL")
    assert tombstone["address"] == ""
    assert tombstone["address_hash"] == b""
    assert (tombstone["p256dh"], tombstone["auth"]) == (None, None)


def test_an_address_that_moves_back_is_a_new_device_again(a_reader, register, engine):
    one, other = a_reader(), a_reader()
    first, _ = register(one, "aa")
    register(other, "aa", 1)
    back, is_new = register(one, "aa", 2)
    assert is_new
    assert back.id != first.id
    assert live_ids(engine, one) == {back.id}
    assert live_ids(engine, other) == set()


def test_replaces_swaps_the_address_and_keeps_the_device(a_reader, register, rows):
    reader = a_reader()
    old, _ = register(reader, "token", kind="token")
    new, is_new = register(reader, "fid", 1, kind="fid", replaces="token")
    assert (new.id, is_new) == (old.id, False)
    (row,) = rows()
    assert (row["address"], row["kind"], row["gone_at"]) == ("fid", "fid", None)
    assert row["address_hash"] == devices.address_hash("apns", "fid")


def test_an_address_that_replaces_another_does_not_leave_both(a_reader, register, engine, rows):
    reader = a_reader()
    token, _ = register(reader, "token")
    fid, _ = register(reader, "fid", 1)
    again, is_new = register(reader, "fid", 2, replaces="token")
    assert (again.id, is_new) == (fid.id, False)
    assert live_ids(engine, reader) == {fid.id}
    (tombstone,) = rows("gone_at IS NOT NULL")
    assert (tombstone["id"], tombstone["gone_why"]) == (token.id, "replaced")


def test_replacing_by_an_address_of_another_reader_takes_it_away(a_reader, register, engine):
    one, other = a_reader(), a_reader()
    register(other, "fid")
    token, _ = register(one, "token")
    taken, is_new = register(one, "fid", 1, replaces="token")
    assert (taken.id, is_new) == (token.id, False)
    assert live_ids(engine, one) == {token.id}
    assert live_ids(engine, other) == set()


def test_an_unknown_replaces_is_a_plain_registration(a_reader, register):
    _, is_new = register(a_reader(), "aa", replaces="never seen")
    assert is_new


def test_replaces_never_touches_the_address_of_another_reader(a_reader, register, engine, rows):
    one, other = a_reader(), a_reader()
    theirs, _ = register(other, "theirs")
    mine, is_new = register(one, "mine", replaces="theirs")
    assert is_new
    assert live_ids(engine, other) == {theirs.id}
    assert live_ids(engine, one) == {mine.id}
    assert [row["address"] for row in rows(f"id = {theirs.id}")] == ["theirs"]


def test_the_seventeenth_device_evicts_the_oldest_registration(a_reader, register, engine, rows):
    reader = a_reader()
    made = [register(reader, f"a{n}", n)[0].id for n in range(16)]
    register(reader, "a0", 20)
    last, is_new = register(reader, "a16", 21)
    assert is_new
    assert live_ids(engine, reader) == {made[0], *made[2:], last.id}
    (tombstone,) = rows("gone_at IS NOT NULL")
    assert (tombstone["id"], tombstone["gone_why"]) == (made[1], "evicted")


def test_evicting_spares_other_readers(a_reader, register, engine):
    one, other = a_reader(), a_reader()
    theirs, _ = register(other, "theirs", -60)
    for n in range(20):
        register(one, f"a{n}", n)
    assert len(live_ids(engine, one)) == 16
    assert live_ids(engine, other) == {theirs.id}


def test_a_readers_tombstones_are_bounded(a_reader, register, rows):
    reader = a_reader()
    for n in range(16 + MAX_TOMBSTONES_PER_READER + 10):
        register(reader, f"a{n}", n)
    assert len(rows("gone_at IS NOT NULL")) <= MAX_TOMBSTONES_PER_READER + 1
    assert len(rows("gone_at IS NULL")) == 16


def test_registering_for_a_reader_who_was_erased_is_refused(register):
    with pytest.raises(NotFound):
        register(new_id(), "aa")


def test_forget_makes_a_tombstone_of_a_device_not_registered_since(
    a_reader, register, engine, rows
):
    device, _ = register(a_reader(), "aa", p256dh="k", auth="k")
    with transaction(engine) as session:
        assert devices.forget(session, [(device.id, NOON)], "410") == [device.id]
    (row,) = rows()
    assert row["gone_at"] is not None
    assert (row["gone_why"], row["address"], row["p256dh"], row["auth"]) == ("410", "", None, None)


def test_forget_spares_a_device_that_registered_since(a_reader, register, engine, rows):
    device, _ = register(a_reader(), "aa")
    with transaction(engine) as session:
        assert devices.forget(session, [(device.id, NOON - timedelta(seconds=1))], "410") == []
    assert [row["gone_at"] for row in rows()] == [None]


def test_forget_without_a_moment_means_now_and_takes_each_id_once(a_reader, register, engine):
    reader = a_reader()
    first, _ = register(reader, "aa")
    second, _ = register(reader, "bb")
    judged = [(second.id, None), (first.id, None), (new_id(), None), (first.id, NOON)]
    with transaction(engine) as session:
        assert sorted(devices.forget(session, judged, "404")) == sorted([first.id, second.id])
        assert devices.forget(session, judged, "404") == []
        assert devices.forget(session, [], "404") == []


def test_a_device_that_was_gone_comes_back_under_its_id(a_reader, register, engine, rows):
    reader = a_reader()
    device, _ = register(reader, "aa")
    with transaction(engine) as session:
        devices.forget(session, [(device.id, None)], "410")
    back, is_new = register(reader, "aa", 1)
    assert (back.id, is_new) == (device.id, False)
    (row,) = rows()
    assert (row["gone_at"], row["gone_why"], row["address"]) == (None, None, "aa")


@pytest.fixture
def register_browser(engine):
    def at_noon(reader_id, address):
        registration = Registration(provider="webpush", kind="endpoint", address=address)
        with transaction(engine) as session:
            return devices.register(session, reader_id, registration, NOON)

    return at_noon


def test_an_endpoint_that_is_dead_for_good_is_registered_by_nobody_again(
    a_reader, register_browser, engine, rows
):
    reader = a_reader()
    device, _ = register_browser(reader, "https://push.example/1")
    with transaction(engine) as session:
        devices.forget(session, [(device.id, None)], "410")
    for each in (reader, a_reader()):
        with pytest.raises(AddressGone):
            register_browser(each, "https://push.example/1")
    assert rows("gone_at IS NULL") == []
    _, is_new = register_browser(reader, "https://push.example/2")
    assert is_new


def test_an_endpoint_that_was_forgotten_by_doubtful_evidence_may_come_back(
    a_reader, register_browser, engine
):
    reader = a_reader()
    device, _ = register_browser(reader, "https://push.example/1")
    with transaction(engine) as session:
        device_history.suspect(session, [device.id])
        devices.forget(session, [(device.id, None)], "refused for a day")
    back, is_new = register_browser(reader, "https://push.example/1")
    assert (back.id, is_new) == (device.id, False)


def test_a_gone_device_that_comes_back_as_the_seventeenth_evicts_the_oldest(
    a_reader, register, engine
):
    reader = a_reader()
    gone, _ = register(reader, "gone", -5)
    with transaction(engine) as session:
        devices.forget(session, [(gone.id, None)], "410")
    made = [register(reader, f"a{n}", n)[0].id for n in range(16)]
    register(reader, "gone", 30)
    assert live_ids(engine, reader) == {gone.id, *made[1:]}


def test_suspicion_lasts_over_renewals_until_a_push_is_accepted(a_reader, register, engine, rows):
    reader = a_reader()
    device, _ = register(reader, "aa")
    assert [row["trusted_at"] for row in rows()] == [None]
    with transaction(engine) as session:
        device_history.suspect(session, [device.id, new_id()])
        device_history.suspect(session, [])
        device_history.note_refusals(session, [device.id])
    register(reader, "aa", 1)
    assert [(row["suspect_at"] is not None, row["refusals"]) for row in rows()] == [(True, 1)]
    with transaction(engine) as session:
        a.note_acceptances(session, [device.id])
    [row] = rows()
    assert (row["suspect_at"], row["refusals"]) == (None, 0)
    assert row["trusted_at"] is not None


def test_a_device_that_takes_another_address_begins_without_a_history(
    a_reader, register, engine, rows
):
    device, _ = register(a_reader(), "aa")
    with transaction(engine) as session:
        a.note_acceptances(session, [device.id])
    reader = engine and rows()[0]["reader_id"]
    register(reader, "bb", 1, replaces="aa")
    [row] = [row for row in rows() if row["gone_at"] is None]
    assert row["trusted_at"] is None


def test_a_reader_removes_only_its_own_device_and_only_once(a_reader, register, engine, rows):
    one, other = a_reader(), a_reader()
    device, _ = register(one, "aa")
    with transaction(engine) as session:
        assert not devices.remove(session, other, device.id, NOON)
        assert devices.remove(session, one, device.id, NOON)
        assert not devices.remove(session, one, device.id, NOON)
    assert [(row["gone_why"], row["address"]) for row in rows()] == [("removed", "")]


def test_a_removed_device_registers_anew(a_reader, register, engine):
    reader = a_reader()
    device, _ = register(reader, "aa")
    with transaction(engine) as session:
        devices.remove(session, reader, device.id, NOON)
    again, is_new = register(reader, "aa", 1)
    assert is_new
    assert again.id != device.id


def at_once(calls):
    """Run the calls in threads that start together; raise what any of them raised."""
    barrier = threading.Barrier(len(calls))
    errors = []

    def run(call):
        barrier.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors


@pytest.mark.parametrize("round_", range(5))
def test_two_readers_who_register_one_address_at_once_leave_one_live_row(
    a_reader, register, rows, round_
):
    owners = [a_reader() for _ in range(6)]
    at_once([partial(register, owner, "shared") for owner in owners] * 2)
    (alive,) = rows("gone_at IS NULL")
    assert alive["reader_id"] in owners
    assert all(row["address"] == "" for row in rows("gone_at IS NOT NULL"))


def test_readers_who_swap_two_addresses_at_once_do_not_block_each_other(
    a_reader, register, engine, rows
):
    one, other = a_reader(), a_reader()
    register(one, "a")
    register(other, "b")
    for n in range(8):
        mine, theirs = ("a", "b") if n % 2 == 0 else ("b", "a")
        at_once(
            [
                partial(register, one, theirs, n + 1, replaces=mine),
                partial(register, other, mine, n + 1, replaces=theirs),
            ]
        )
        alive = rows("gone_at IS NULL")
        assert len(alive) == len({row["address"] for row in alive})
        assert len(live_ids(engine, one)) <= 2


def test_a_reader_who_registers_twenty_devices_at_once_keeps_sixteen(a_reader, register, engine):
    reader = a_reader()
    for start in (0, 10):
        at_once([partial(register, reader, f"a{n}", n) for n in range(start, start + 10)])
    assert len(live_ids(engine, reader)) == 16


def test_registering_forgetting_and_erasing_at_once_never_deadlock(a_reader, register, engine):
    one, other = a_reader(), a_reader()
    made = [register(one, f"a{n}", n)[0].id for n in range(12)]

    def forget():
        with transaction(engine) as session:
            devices.forget(session, [(device, None) for device in reversed(made)], "410")

    def steal():
        for n in range(12):
            register(other, f"a{n}", 30 + n)

    def erase():
        with transaction(engine) as session:
            readers.erase(session, one)

    at_once([forget, steal, erase, forget, steal])
    assert live_ids(engine, one) == set()
    assert len(live_ids(engine, other)) == 12
