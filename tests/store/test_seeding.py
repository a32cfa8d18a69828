import re
from itertools import count

import pytest
from sqlalchemy import text

from service.store.readers import devices, seeding
from service.store.readers.seeding import Mix
from service.store.readers.synthetic_readers import Browser

FORMS = {
    "apns": re.compile(r"[0-9a-f]{64}"),
    "fcm": re.compile(r"[c-f][\w-]{21}(:APA91b[\w-]{100,})?"),
    "webpush": re.compile(r"https://push\.example/\d+"),
}


@pytest.fixture
def fetch(engine):
    def run(sql):
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    return run


@pytest.fixture
def browsers():
    numbers = count(1)

    def give(n):
        return [Browser(f"https://push.example/{next(numbers)}", "p", "a") for _ in range(n)]

    return give


def everything(fetch):
    return [
        fetch("SELECT id, language, timezone, quiet_from, token_hash FROM reader ORDER BY id"),
        fetch("SELECT id, reader_id, provider, address, locale FROM device ORDER BY id"),
        fetch(
            "SELECT reader_id, path, least_urgency FROM subscription"
            " JOIN topic ON topic.id = topic_id ORDER BY 1, 2"
        ),
    ]


def test_it_adds_so_many_readers_with_a_device_each(database_url, fetch):
    assert seeding.seed(database_url, readers=700) == 700
    assert fetch("SELECT count(*), count(DISTINCT token_hash) FROM reader") == [(700, 700)]
    assert fetch("SELECT count(*), count(DISTINCT reader_id) FROM device") == [(700, 700)]


def test_the_same_seed_makes_the_same_readers(database_url, fetch, engine):
    seeding.seed(database_url, readers=120, seed=7)
    first = everything(fetch)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE reader, device, subscription, topic CASCADE"))
    seeding.seed(database_url, readers=120, seed=7)
    assert everything(fetch) == first


def test_a_second_run_with_the_same_seed_adds_nothing_and_another_seed_does(database_url, fetch):
    seeding.seed(database_url, readers=50, seed=1)
    before = everything(fetch)
    told = []
    assert seeding.seed(database_url, readers=50, seed=1, progress=told.append) == 0
    assert told == [50]
    assert everything(fetch) == before
    assert seeding.seed(database_url, readers=50, seed=2) == 50


def test_a_run_that_was_stopped_is_finished_by_the_next(database_url, fetch, monkeypatch):
    monkeypatch.setattr(seeding, "SLICE_READERS", 10)

    def stop_at(done):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seeding.seed(database_url, readers=50, processes=1, progress=stop_at)
    assert fetch("SELECT count(*) FROM reader") == [(30,)]
    assert seeding.seed(database_url, readers=50) == 20
    assert fetch("SELECT count(*) FROM device") == [(50,)]


def test_several_processes_make_what_one_makes(database_url, fetch, engine, monkeypatch):
    monkeypatch.setattr(seeding, "SLICE_READERS", 40)
    told = []
    seeding.seed(database_url, readers=160, processes=2, progress=told.append)
    assert told[-1] == 160
    assert told == sorted(told)
    by_two = everything(fetch)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE reader, device, subscription, topic CASCADE"))
    seeding.seed(database_url, readers=160, processes=1)
    assert everything(fetch) == by_two


def test_ids_are_spread_over_the_whole_space(database_url, fetch, monkeypatch):
    monkeypatch.setattr(seeding, "SLICE_READERS", 100)
    seeding.seed(database_url, readers=1600, processes=1)
    for table in ("reader", "device"):
        parts = dict(fetch(f"SELECT id >> 60, count(*) FROM {table} GROUP BY 1"))
        assert sorted(parts) == list(range(8))
        assert all(150 < n < 250 for n in parts.values())


def test_every_address_is_well_formed_and_found_by_its_hash(database_url, fetch, browsers):
    mix = Mix(providers={"apns": 1, "fcm": 2, "webpush": 1}, browsers=browsers)
    seeding.seed(database_url, readers=400, mix=mix)
    rows = fetch("SELECT provider, kind, address, address_hash, p256dh, auth FROM device")
    for provider, kind, address, digest, p256dh, auth in rows:
        assert FORMS[provider].fullmatch(address)
        assert bytes(digest) == devices.address_hash(provider, address)
        assert (kind == "fid") == (provider == "fcm" and ":" not in address)
        assert (p256dh, auth) == (("p", "a") if provider == "webpush" else (None, None))
    by_provider = dict(fetch("SELECT provider, count(*) FROM device GROUP BY 1"))
    assert by_provider == {"apns": 100, "fcm": 200, "webpush": 100}


def test_without_a_source_of_browsers_there_is_no_web_push(database_url, fetch):
    seeding.seed(database_url, readers=80, mix=Mix(providers={"apns": 3, "fcm": 1, "webpush": 4}))
    by_provider = dict(fetch("SELECT provider, count(*) FROM device GROUP BY 1"))
    assert by_provider == {"apns": 60, "fcm": 20}


def test_a_provider_nobody_can_make_addresses_for_is_refused(database_url, fetch):
    with pytest.raises(ValueError, match="carrier-pigeon"):
        seeding.seed(database_url, readers=10, mix=Mix(providers={"carrier-pigeon": 1}))
    assert fetch("SELECT count(*) FROM reader") == [(0,)]


@pytest.mark.parametrize(("wanted", "devices_made"), [(0, 0), (0.5, 50), (1.5, 150), (3, 300)])
def test_devices_per_reader_may_be_any_number(database_url, fetch, wanted, devices_made):
    seeding.seed(database_url, readers=100, mix=Mix(devices_per_reader=wanted))
    assert fetch("SELECT count(*) FROM device") == [(devices_made,)]
    most = fetch("SELECT count(*) FROM device GROUP BY reader_id ORDER BY 1 DESC LIMIT 1")
    assert most == ([] if wanted == 0 else [(-(-wanted // 1),)])


def test_the_topics_given_are_followed_by_their_weight(database_url, fetch):
    mix = Mix(topics={"sport/tennis": 3, "travel": 1}, topics_per_reader=1)
    seeding.seed(database_url, readers=1000, mix=mix)
    followers = dict(
        fetch(
            "SELECT path, count(reader_id) FROM topic"
            " LEFT JOIN subscription ON topic_id = topic.id GROUP BY path"
        )
    )
    assert set(followers) == {"sport", "sport/tennis", "travel"}
    assert followers["sport"] == 0
    assert followers["sport/tennis"] > followers["travel"] > 100


def test_without_topics_those_that_exist_are_followed(database_url, fetch, engine):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO topic VALUES (5, 'gardens', 'Gardens')"))
        connection.execute(text("INSERT INTO topic VALUES (6, 'story/6', 'A story')"))
    seeding.seed(database_url, readers=60)
    assert fetch("SELECT DISTINCT topic_id FROM subscription") == [(5,)]
    assert fetch("SELECT count(*) FROM topic") == [(2,)]


def test_readers_differ_in_their_habits(database_url, fetch):
    seeding.seed(database_url, readers=2000)
    (followed,) = fetch("SELECT count(*) / 2000.0 FROM subscription")[0]
    assert 3.5 < followed < 4.5
    (quiet,) = fetch("SELECT count(quiet_from) / 2000.0 FROM reader")[0]
    assert 0.15 < quiet < 0.25
    assert len(fetch("SELECT DISTINCT timezone FROM reader")) > 8
    assert len(fetch("SELECT DISTINCT language FROM reader")) > 6
    assert fetch("SELECT DISTINCT least_urgency FROM subscription ORDER BY 1") == [(0,), (1,), (2,)]
    (muted,) = fetch(
        "SELECT avg((muted_until > now())::int) FROM subscription WHERE muted_until IS NOT NULL"
    )[0]
    assert muted == 1
