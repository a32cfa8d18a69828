import json
import tracemalloc

import pytest
from sqlalchemy import text

from service.commands.importing import reader_import
from service.commands.importing.reader_import import import_readers
from service.store.session import transaction
from tests.builders import a_topic
from tests.credentials import provider_environment


@pytest.fixture(autouse=True)
def _providers(tmp_path, monkeypatch):
    for name, value in provider_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NEWSZOP_PROVIDERS", "apns,fcm")


@pytest.fixture(autouse=True)
def _topics(engine):
    with transaction(engine) as session:
        for path in ("sport", "sport/tennis", "world"):
            a_topic(session, path)


@pytest.fixture
def kept(engine):
    def read():
        with engine.connect() as connection:
            rows = connection.execute(
                text("""
                SELECT address, language, timezone, locale,
                    array(SELECT path FROM subscription JOIN topic ON topic.id = topic_id
                        WHERE subscription.reader_id = reader.id ORDER BY path)
                FROM reader JOIN device ON device.reader_id = reader.id ORDER BY address""")
            )
            return [tuple(row) for row in rows]

    return read


@pytest.fixture
def read(engine):
    def lines(*given, **more):
        texts = [line if isinstance(line, str | bytes) else json.dumps(line) for line in given]
        complaints = []
        tally = import_readers(
            engine, texts, complain=lambda number, why: complaints.append((number, why)), **more
        )
        return tally, complaints

    return lines


def phone(n, **more):
    return {"provider": "apns", "address": f"{n:064x}"} | more


def test_a_line_makes_a_reader_with_its_device_and_topics(read, kept):
    line = phone(1, topics=["sport/tennis", "world"], language="HI", timezone="Asia/Kolkata")
    tally, complaints = read(line, phone(2, locale="pt_BR", timezone="Europe/Kiev"))
    assert (tally.additions, complaints) == (2, [])
    assert kept() == [
        (f"{1:064x}", "hi", "Asia/Kolkata", "hi", ["sport/tennis", "world"]),
        (f"{2:064x}", "en", "Europe/Kyiv", "pt-BR", []),
    ]


def test_the_same_file_again_adds_nothing(read, kept):
    lines = [phone(n, topics=["sport"], language="de") for n in range(20)]
    read(*lines)
    before = kept()
    tally, _ = read(*lines)
    assert (tally.additions, tally.renewals, tally.skips) == (0, 20, 0)
    assert kept() == before


def test_a_known_address_is_brought_up_to_date(read, kept):
    read(phone(1, topics=["sport"], language="de", timezone="Europe/Berlin"))
    read(phone(1, topics=["world"], language="fr"))
    assert kept() == [(f"{1:064x}", "fr", "Europe/Berlin", "fr", ["sport", "world"])]


def test_an_address_given_twice_in_one_file_is_one_device(read, kept):
    first = phone(10, topics=["sport"], language="de", timezone="Asia/Tokyo")
    second = phone(10, topics=["world"], language="fr", address=f"{10:064X}")
    tally, _ = read(first, second)
    assert (tally.additions, tally.renewals) == (1, 1)
    assert kept() == [(f"{10:064x}", "fr", "Asia/Tokyo", "fr", ["sport", "world"])]


WRONG = [
    (b"\xff\xfe", "is not a line"),
    ("{", "is not a line"),
    ("[" * 60_000, "is not a line"),
    ("[]", "is not a line"),
    ("7", "is not a line"),
    ("null", "is not a line"),
    ('{"provider": "apns", "address": "\\ud800"}', "is not a line"),
    ({"address": "ab"}, "provider"),
    (phone(1, provider="pigeon"), "provider"),
    (phone(1, provider="webpush"), "provider"),
    (phone(1, address="nothing hexadecimal"), "address"),
    (phone(1, address=7), "address"),
    (phone(1, topics=["no/such"]), "topics"),
    (phone(1, topics=["Not A Topic"]), "topics"),
    (phone(1, topics="sport"), "topics"),
    (phone(1, topics=["sport"] * 1001), "topics"),
    (phone(1, timezone="Mars/Olympus"), "timezone"),
    (phone(1, language="not a language"), "language"),
    (phone(1, locale="not a locale"), "locale"),
    (phone(1, keys={"p256dh": "x", "auth": "y"}), "keys"),
    (phone(1, token="x"), "token"),
    (phone(1, language="x" * 70_000), "line"),
]


@pytest.mark.parametrize(("line", "names"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_line_is_told_and_skipped_and_the_rest_is_kept(read, kept, line, names):
    tally, complaints = read(phone(2), line, phone(3))
    assert (tally.additions, tally.renewals, tally.skips) == (2, 0, 1)
    ((number, why),) = complaints
    assert number == 2
    assert why.startswith(names)
    assert [row[0] for row in kept()] == [f"{2:064x}", f"{3:064x}"]


def test_a_complaint_holds_no_address(read):
    _, complaints = read(
        phone(1, address="5ec7e7 with a mistake"), '{"address": "5ec7e7', {"address": "5ec7e7"}
    )
    assert len(complaints) == 3
    assert "5ec7e7" not in str(complaints)


def test_blank_lines_are_nothing_and_bytes_are_as_good_as_text(read, kept):
    lines = [json.dumps(phone(1)).encode() + b"\n", b"\n", " \n", json.dumps(phone(2)) + "\n"]
    tally, complaints = read(*lines)
    assert complaints == []
    assert (tally.additions, tally.lines, tally.size) == (2, 2, sum(map(len, lines)))
    assert len(kept()) == 2


def test_complaints_come_in_the_order_of_the_lines(read):
    lines = [phone(1, topics=["no/such"]), "{", phone(2, topics=["no/such"]), "{"]
    _, complaints = read(*lines)
    assert [number for number, _ in complaints] == [1, 2, 3, 4]


def test_many_lines_go_in_batches_and_progress_is_told(read, kept, monkeypatch):
    monkeypatch.setattr(reader_import, "BATCH", 10)
    told = []
    tally, _ = read(*(phone(n) for n in range(25)), progress=lambda t: told.append(t.lines))
    assert (tally.lines, told) == (25, [10, 20, 25])
    assert len(kept()) == 25


def test_a_file_of_any_length_takes_little_memory(engine):
    def lines():
        for n in range(4_000):
            yield json.dumps(phone(n % 50, topics=["sport"], locale="en")) + " " * 5_000

    tracemalloc.start()
    import_readers(engine, lines())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12_000_000
