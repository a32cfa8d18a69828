import logging

import pytest
import structlog
from sqlalchemy import text

from service.domain.people import hash_token
from service.logs import configure_logging
from service.store.readers import device_groups, devices
from tests.builders import a_topic
from tests.site_client import SiteClient

NIGHT = {"from": "22:00", "to": "07:30"}


@pytest.fixture
def kept(engine):
    def read():
        with engine.connect() as connection:
            return connection.execute(text("SELECT * FROM reader ORDER BY id")).all()

    return read


def fields(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]


def test_a_reader_is_made_with_nothing_said(client, kept):
    answer = client.post("/api/readers")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert set(made) == {"id", "token"}
    assert made["id"].isdigit()
    (row,) = kept()
    assert (str(row.id), row.language, row.timezone, row.quiet_from) == (
        made["id"],
        "en",
        "UTC",
        None,
    )


def test_a_reader_is_made_as_it_says_and_shown_so(client, make_reader):
    said = {"language": "pt-br", "timezone": "America/Sao_Paulo", "quiet_hours": NIGHT}
    shown = client.get("/api/me", headers=make_reader(**said)).json()
    assert shown.pop("id").isdigit()
    assert shown == {
        "language": "pt-BR",
        "languages": [],
        "timezone": "America/Sao_Paulo",
        "quiet_hours": {"from": "22:00", "to": "07:30"},
        "alerts_per_day": None,
        "results": True,
        "digest": False,
    }


def test_the_token_is_long_and_kept_as_its_hash_only(client, kept):
    token = client.post("/api/readers", json={}).json()["token"]
    assert len(token) >= 40
    (row,) = kept()
    assert bytes(row.token_hash) == hash_token(token)


WRONG = [
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": "UTC+3"}, "timezone"),
    ({"timezone": "asia/kolkata"}, "timezone"),
    ({"timezone": ""}, "timezone"),
    ({"timezone": "UTC\0"}, "timezone"),
    ({"timezone": None}, "timezone"),
    ({"timezone": 5}, "timezone"),
    ({"timezone": "A" * 5000}, "timezone"),
    ({"language": "not a language"}, "language"),
    ({"language": "x" * 40}, "language"),
    ({"language": None}, "language"),
    ({"languages": ["not a language"]}, "languages"),
    ({"languages": [f"a{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]}, "languages"),
    ({"quiet_hours": {"from": "22:00"}}, "quiet_hours.to"),
    ({"quiet_hours": {"to": "22:00"}}, "quiet_hours.from"),
    ({"quiet_hours": {"from": "24:00", "to": "07:00"}}, "quiet_hours.from"),
    ({"quiet_hours": {"from": "22:00", "to": "7:00"}}, "quiet_hours.to"),
    ({"quiet_hours": {"from": "22:00", "to": "07:60"}}, "quiet_hours.to"),
    ({"quiet_hours": {"from": "22:00", "to": "07:00\n"}}, "quiet_hours.to"),
    ({"quiet_hours": {"from": "22:00", "to": None}}, "quiet_hours.to"),
    ({"quiet_hours": {"from": 22, "to": "07:00"}}, "quiet_hours.from"),
    ({"quiet_hours": "22:00-07:00"}, "quiet_hours"),
    ({"quiet_hours": NIGHT | {"days": "all"}}, "quiet_hours.days"),
    ({"quietHours": NIGHT}, "quietHours"),
]


@pytest.mark.parametrize(("said", "field"), WRONG)
def test_a_new_reader_with_a_wrong_field_is_not_made(client, kept, said, field):
    answer = client.post("/api/readers", json=said)
    assert answer.status_code == 422
    assert fields(answer) == [field]
    assert kept() == []


@pytest.mark.parametrize(("said", "field"), WRONG)
def test_a_change_with_a_wrong_field_changes_nothing(client, make_reader, kept, said, field):
    mine = make_reader(language="hi", timezone="Asia/Kolkata", quiet_hours=NIGHT)
    before = kept()
    answer = client.patch("/api/me", headers=mine, json={"language": "de"} | said)
    assert answer.status_code == 422
    assert fields(answer) == [field]
    assert kept() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'"en"', b"null", b"\xff\xfe"])
def test_a_change_that_is_no_object_is_a_problem(client, as_reader, body):
    sent = as_reader | {"Content-Type": "application/json"}
    answer = client.patch("/api/me", headers=sent, content=body)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_text_that_is_no_unicode_is_a_problem(client):
    body = b'{"timezone": "\\ud800"}'
    answer = client.post("/api/readers", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert fields(answer) == ["timezone"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {}),
        ({"language": "mr"}, {"language": "mr"}),
        ({"languages": ["hi", "pt", "no", "nb"]}, {"languages": ["hi", "pt", "nb"]}),
        ({"languages": ["PT-br", "iw"]}, {"languages": ["pt-BR", "he"]}),
        ({"timezone": "Europe/Kyiv"}, {"timezone": "Europe/Kyiv"}),
        ({"timezone": "Asia/Calcutta"}, {"timezone": "Asia/Kolkata"}),
        ({"timezone": "Europe/Kiev"}, {"timezone": "Europe/Kyiv"}),
        ({"timezone": "US/Eastern"}, {"timezone": "America/New_York"}),
        ({"quiet_hours": {"from": "00:00", "to": "00:00"}},) * 2,
        ({"quiet_hours": None}, {"quiet_hours": None}),
        ({"alerts_per_day": 3}, {"alerts_per_day": 3}),
        ({"alerts_per_day": None}, {"alerts_per_day": None}),
        ({"results": False, "digest": True},) * 2,
        ({"results": None}, {"results": True}),
    ],
)
def test_a_change_leaves_what_it_does_not_name(client, make_reader, said, expected):
    mine = make_reader(language="hi", timezone="Asia/Kolkata", quiet_hours=NIGHT)
    before = client.get("/api/me", headers=mine).json()
    answer = client.patch("/api/me", headers=mine, json=said)
    assert answer.status_code == 200
    assert answer.json() == before | expected
    assert client.get("/api/me", headers=mine).json() == before | expected


CALLS = [
    ("GET", "/api/me"),
    ("PATCH", "/api/me"),
    ("DELETE", "/api/me"),
    ("GET", "/api/me/export"),
    ("GET", "/api/me/devices"),
    ("PUT", "/api/me/devices"),
    ("DELETE", "/api/me/devices/7"),
    ("GET", "/api/me/subscriptions"),
    ("GET", "/api/me/subscriptions/world"),
    ("PUT", "/api/me/subscriptions/world"),
    ("DELETE", "/api/me/subscriptions/world"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_readers_token_nothing_is_done(client, as_admin, method, path):
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic x"},
        as_admin,
    ):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_reader_who_was_erased_leaves_nothing_and_its_token_is_dead(
    client, providers, make_reader, engine, session
):
    a_topic(session, "world")
    session.commit()
    mine, theirs = make_reader(), make_reader()
    for n, one in enumerate((mine, theirs)):
        device = {"provider": "apns", "address": f"{n}" * 64}
        assert client.put("/api/me/devices", headers=one, json=device).status_code == 201
        assert client.put("/api/me/subscriptions/world", headers=one).status_code == 201
    assert client.delete("/api/me", headers=mine).status_code == 204
    assert client.get("/api/me", headers=mine).status_code == 401
    assert client.get("/api/me", headers=theirs).status_code == 200
    with engine.connect() as connection:
        for table in ("reader", "device", "subscription"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 1


def test_export_holds_all_that_is_kept(client, providers, make_reader, session):
    a_topic(session, "world")
    a_topic(session, "sport")
    session.commit()
    mine = make_reader(language="hi", timezone="Asia/Kolkata", quiet_hours=NIGHT)
    make_reader()
    device = {"provider": "apns", "address": "AB" * 32, "locale": "hi_IN", "app_version": "5.1"}
    device_id = client.put("/api/me/devices", headers=mine, json=device).json()["id"]
    terms = {"least_urgency": "breaking", "muted_until": "2030-01-01T00:00:00+05:30"}
    client.put("/api/me/subscriptions/world", headers=mine, json=terms)
    answer = client.get("/api/me/export", headers=mine)
    assert answer.headers["cache-control"] == "no-store"
    export = answer.json()
    assert client.get("/api/me", headers=mine).json().items() <= export.items()
    assert export["created_at"].endswith("+00:00")
    (held,) = export["devices"]
    assert held.pop("registered_at").endswith("+00:00")
    assert held == {
        "id": device_id,
        "provider": "apns",
        "kind": "token",
        "address": "ab" * 32,
        "keys": None,
        "locale": "hi-IN",
        "app_version": "5.1",
        "gone_at": None,
        "gone_why": None,
    }
    (followed,) = export["subscriptions"]
    assert followed.pop("created_at").endswith("+00:00")
    assert followed == {
        "topic": "world",
        "least_urgency": "breaking",
        "muted_until": "2029-12-31T18:30:00+00:00",
    }


def test_export_shows_a_tombstone_without_its_address(client, providers, as_reader):
    device = {"provider": "apns", "address": "cd" * 32}
    device_id = client.put("/api/me/devices", headers=as_reader, json=device).json()["id"]
    client.delete(f"/api/me/devices/{device_id}", headers=as_reader)
    (held,) = client.get("/api/me/export", headers=as_reader).json()["devices"]
    assert (held["id"], held["address"], held["gone_why"]) == (device_id, "", "removed")


def test_new_readers_from_one_address_are_limited_but_not_from_this_machine(app, settings, client):
    for _ in range(settings.registrations_per_minute + 2):
        assert client.post("/api/readers").status_code == 201
    with SiteClient(app, client=("203.0.113.9", 4000)) as outside:
        answers = [
            outside.post("/api/readers") for _ in range(settings.registrations_per_minute + 1)
        ]
    assert [a.status_code for a in answers] == [201] * settings.registrations_per_minute + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.fixture
def _logging_as_before():
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


@pytest.mark.usefixtures("_logging_as_before")
def test_neither_token_nor_address_reaches_a_log_even_when_postgres_refuses(
    client, providers, capfd, monkeypatch
):
    configure_logging("debug")
    token = client.post("/api/readers").json()["token"]
    mine = {"Authorization": f"Bearer {token}"}
    good = {"provider": "apns", "address": "5ec7e7" + "0" * 58}
    bad = {"provider": "apns", "address": "5ec7e7 is not hexadecimal"}
    answers = [client.put("/api/me/devices", headers=mine, json=body) for body in (good, bad)]
    for store in (devices, device_groups):
        monkeypatch.setattr(store, "_RENEW", text("SELECT :address FROM no_such_table"))
    answers.append(client.put("/api/me/devices", headers=mine, json=good))
    assert [answer.status_code for answer in answers] == [201, 422, 500]
    captured = capfd.readouterr()
    log = captured.out + captured.err
    assert "no_such_table" in log
    for words in (log, *(answer.text for answer in answers)):
        assert token not in words
        assert "5ec7e7" not in words


@pytest.mark.parametrize(
    ("body", "languages"),
    [
        (None, ["hi-IN", "en"]),
        ({"languages": []}, []),
        ({"languages": ["de"]}, ["de"]),
    ],
)
def test_a_new_reader_reads_what_the_browser_says_unless_told(client, body, languages):
    headers = {"Accept-Language": "hi-IN, en;q=0.5, *;q=0.1"}
    token = client.post("/api/readers", json=body, headers=headers).json()["token"]
    shown = client.get("/api/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert shown["languages"] == languages


def test_alerts_are_compared_with_a_readers_languages_without_regions(client, make_reader, kept):
    mine = make_reader()
    client.patch("/api/me", headers=mine, json={"languages": ["pt-BR", "zh-Hant-TW"]})
    (row,) = kept()
    assert (row.languages, row.reads) == (["pt-BR", "zh-Hant-TW"], ["pt", "zh"])


@pytest.mark.parametrize("number", [0, -1, 101, 1.5, "many"])
def test_a_wish_for_alerts_a_day_is_a_small_number(client, as_reader, number):
    answer = client.patch("/api/me", headers=as_reader, json={"alerts_per_day": number})
    assert answer.status_code == 422
    assert fields(answer) == ["alerts_per_day"]
