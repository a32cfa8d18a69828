from datetime import UTC, datetime, timedelta

from service.domain.device import (
    EVICTED,
    MAX_DEVICES_PER_READER,
    MAX_TOMBSTONES_PER_READER,
    MOVED,
    REPLACED,
    ConcernedDevice,
    Placement,
    place,
)

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NEW, OLD, OTHER = b"new", b"old", b"other"


def a_device(number, address_hash, *, mine=True, live=True, minute=0):
    return ConcernedDevice(
        id=number,
        mine=mine,
        live=live,
        address_hash=address_hash,
        registered_at=NOON + timedelta(minutes=minute),
    )


def test_an_address_nobody_has_is_a_new_device():
    assert place([], NEW, None) == Placement(keep=None)
    assert place([a_device(1, OTHER)], NEW, OLD) == Placement(keep=None)


def test_the_readers_own_address_stays_where_it_is():
    assert place([a_device(1, NEW), a_device(2, OTHER)], NEW, None) == Placement(keep=1)


def test_the_address_of_another_moves_to_a_new_device():
    placement = place([a_device(1, NEW, mine=False)], NEW, None)
    assert placement == Placement(keep=None, tombstones=((1, MOVED),))


def test_a_replaced_address_gives_its_device_to_the_new_one():
    assert place([a_device(1, OLD)], NEW, OLD) == Placement(keep=1)
    taken = place([a_device(1, OLD), a_device(2, NEW, mine=False)], NEW, OLD)
    assert taken == Placement(keep=1, tombstones=((2, MOVED),))


def test_a_replaced_address_does_not_live_on_beside_the_new_one():
    placement = place([a_device(1, OLD), a_device(2, NEW)], NEW, OLD)
    assert placement == Placement(keep=2, tombstones=((1, REPLACED),))


def test_what_another_reader_has_is_never_replaced():
    assert place([a_device(1, OLD, mine=False)], NEW, OLD) == Placement(keep=None)


def test_an_address_that_replaces_itself_only_renews():
    assert place([a_device(1, NEW)], NEW, NEW) == Placement(keep=1)


def test_a_gone_device_returns_unless_another_reader_has_the_address_now():
    gone = a_device(1, NEW, live=False)
    assert place([gone], NEW, None) == Placement(keep=1)
    moved = place([gone, a_device(2, NEW, mine=False)], NEW, None)
    assert moved == Placement(keep=None, tombstones=((2, MOVED),))


def test_a_tombstone_of_ours_never_returns():
    assert place([a_device(1, b"", live=False)], NEW, None) == Placement(keep=None)


def test_the_oldest_registrations_make_room():
    full = [a_device(n, bytes([n]), minute=-n) for n in range(1, MAX_DEVICES_PER_READER + 1)]
    assert place(full, NEW, None).tombstones == ((MAX_DEVICES_PER_READER, EVICTED),)
    assert place(full[:-1], NEW, None).tombstones == ()
    assert place(full, bytes([3]), None).tombstones == ()
    assert place(full, NEW, bytes([3])).tombstones == ()


def test_old_tombstones_are_purged_when_a_device_is_added():
    dead = [a_device(n, b"", live=False, minute=n) for n in range(1, MAX_TOMBSTONES_PER_READER + 4)]
    assert place(dead, NEW, None).purge == (3, 2, 1)
