import json
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text

from service.actions.apps import app_lookup
from service.api.devices import DeviceBody
from service.commands.importing.reader_import import import_readers
from service.hot.device_calls import registration_writer
from service.sealing import seal
from service.store.operations import apps
from service.store.operations.apps import App
from service.store.readers import devices
from service.store.session import transaction
from tests.builders import a_topic
from tests.credentials import a_p256_key, pem
from workers.provider_kit.encoding import base64url

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("providers")

TOKEN = "d" * 22 + ":APA91b" + "x" * 130
FID = "c" + "k" * 21
POINT = base64url(
    ec.derive_private_key(5, ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
KEYS = {"p256dh": POINT, "auth": base64url(bytes(range(16)))}
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAA"
PHONE = {"provider": "apns", "address": "ab" * 32}
BROWSER = {"provider": "webpush", "address": ENDPOINT, "keys": KEYS}


@pytest.fixture
def put(client):
    def register(headers, **body):
        return client.put("/api/me/devices", headers=headers, json=body)

    return register


@pytest.fixture
def kept(engine):
    def read(where="gone_at IS NULL"):
        with engine.connect() as connection:
            return connection.execute(text(f"SELECT * FROM device WHERE {where}")).all()

    return read


def ids(client, headers):
    return [item["id"] for item in client.get("/api/me/devices", headers=headers).json()["items"]]


@pytest.mark.parametrize(
    "body",
    [PHONE, BROWSER, {"provider": "fcm", "address": TOKEN}, {"provider": "fcm", "address": FID}],
    ids=["apns", "webpush", "fcm token", "fcm installation"],
)
def test_a_device_is_new_once_and_then_known(as_reader, put, kept, body):
    made = put(as_reader, **body)
    assert made.status_code == 201
    assert set(made.json()) == {"id"}
    again = put(as_reader, **body)
    assert (again.status_code, again.json()) == (200, made.json())
    (row,) = kept()
    assert str(row.id) == made.json()["id"]


@pytest.fixture
def sport(engine, settings):
    """An app of the readers' sport desk, and one that is disabled."""
    key = pem(a_p256_key()).decode()
    options = {"key_id": "ABCDE12345", "team_id": "TEAM123456", "topic": "org.example.sport"}
    with transaction(engine) as session:
        for name in ("sport", "old"):
            sealed = seal(settings.seal_keys, json.dumps({"key": key}), f"app:{name}")
            app = App(name=name, provider="apns", options=options, credentials=sealed)
            apps.add(session, replace(app, disabled_at=NOON if name == "old" else None))


def test_a_device_belongs_to_the_app_that_it_names(as_reader, put, kept, sport):
    assert put(as_reader, **PHONE, app="sport").status_code == 201
    assert [row.provider for row in kept()] == ["sport"]
    assert put(as_reader, **PHONE).status_code == 200
    assert [row.provider for row in kept()] == ["apns"]


@pytest.mark.parametrize("name", ["nobody", "old", "webpush", "x" * 500])
def test_an_app_that_is_none_or_another_providers_is_refused(as_reader, put, kept, sport, name):
    answer = put(as_reader, **PHONE, app=name)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["app"]
    assert put(as_reader, provider="fcm", address=FID, app="sport").status_code == 422
    assert kept() == []


def test_a_subscription_is_taken_as_browsers_and_libraries_hand_it_out(as_reader, put, kept):
    standard = {name: key.replace("-", "+").replace("_", "/") + "=" for name, key in KEYS.items()}
    assert put(as_reader, **BROWSER, expirationTime=None).status_code == 201
    assert put(as_reader, **BROWSER | {"keys": standard}, expirationTime=1.5e12).status_code == 200
    (row,) = kept()
    assert {"p256dh": row.p256dh, "auth": row.auth} == KEYS


def test_a_dead_endpoint_is_refused_with_a_word_to_act_on_and_a_token_may_come_alive(
    as_reader, put, engine
):
    phone = {"provider": "apns", "address": "ab" * 32}
    ids = [int(put(as_reader, **body).json()["id"]) for body in (BROWSER, phone)]
    with transaction(engine) as session:
        devices.forget(session, [(each, None) for each in ids], "410")
    answer = put(as_reader, **BROWSER)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/address-gone")
    assert "subscribe again" in answer.json()["detail"]
    assert put(as_reader, **phone).status_code == 200


def test_the_address_of_a_subscription_that_chrome_removed_is_a_dead_one(as_reader, put):
    removed = BROWSER | {"address": "https://permanently-removed.invalid/fcm/send/x"}
    assert put(as_reader, **removed).json()["type"] == "/problems/address-gone"


def test_the_list_shows_everything_but_the_address(client, as_reader, put):
    made = put(as_reader, **BROWSER, locale="pt_BR", app_version="5.12.0").json()
    answer = client.get("/api/me/devices", headers=as_reader)
    (shown,) = answer.json()["items"]
    assert answer.json()["next"] is None
    assert shown.pop("registered_at").endswith("+00:00")
    assert shown == {
        "id": made["id"],
        "provider": "webpush",
        "app": "webpush",
        "locale": "pt-BR",
        "app_version": "5.12.0",
    }
    assert "mozilla" not in answer.text
    assert KEYS["auth"] not in answer.text


def test_the_list_comes_in_pages_the_last_registered_first(client, as_reader, put):
    made = [put(as_reader, provider="apns", address=f"{n:064x}").json()["id"] for n in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/me/devices", headers=as_reader, params=query).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert seen == made[::-1]


WRONG = [
    ({}, ["provider", "address"]),
    ({"provider": "apns"}, ["address"]),
    (PHONE | {"provider": "pigeon"}, ["provider"]),
    (PHONE | {"provider": "hms"}, ["provider"]),
    (PHONE | {"provider": "../apns"}, ["provider"]),
    (PHONE | {"provider": ""}, ["provider"]),
    (PHONE | {"provider": None}, ["provider"]),
    (PHONE | {"address": ""}, ["address"]),
    (PHONE | {"address": "not hexadecimal"}, ["address"]),
    (PHONE | {"address": "ab" * 32 + "\0"}, ["address"]),
    (PHONE | {"address": "ab" * 2000}, ["address"]),
    (PHONE | {"address": ["ab" * 32]}, ["address"]),
    (PHONE | {"keys": KEYS}, ["keys"]),
    (PHONE | {"locale": "not a locale"}, ["locale"]),
    (PHONE | {"locale": None}, ["locale"]),
    (PHONE | {"app_version": "9" * 65}, ["app_version"]),
    (PHONE | {"app_version": "1\n2"}, ["app_version"]),
    (PHONE | {"token": "x"}, ["token"]),
    (PHONE | {"replaces": 7}, ["replaces"]),
    (PHONE | {"reader_id": "7"}, ["reader_id"]),
    ({"provider": "fcm", "address": "short"}, ["address"]),
    ({"provider": "fcm", "address": TOKEN, "keys": KEYS}, ["keys"]),
    ({"provider": "webpush", "address": ENDPOINT}, ["keys.p256dh"]),
    (BROWSER | {"keys": {"p256dh": POINT}}, ["keys.auth"]),
    (BROWSER | {"keys": KEYS | {"p256dh": "AAAA"}}, ["keys.p256dh"]),
    (BROWSER | {"keys": KEYS | {"auth": "AAAA"}}, ["keys.auth"]),
    (BROWSER | {"address": "http://updates.push.services.mozilla.com/a"}, ["address"]),
    (BROWSER | {"address": "https://127.0.0.1/a"}, ["address"]),
    (BROWSER | {"address": "https://example.com/a"}, ["address"]),
]


@pytest.mark.parametrize(("body", "fields"), WRONG, ids=str)
def test_a_wrong_registration_names_its_field_and_changes_nothing(
    as_reader, put, kept, body, fields
):
    put(as_reader, **PHONE, locale="en")
    before = kept("true")
    answer = put(as_reader, **body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert kept("true") == before


def test_the_address_is_known_in_any_of_its_spellings(as_reader, put, kept):
    first = put(as_reader, provider="apns", address="AB" * 32)
    again = put(as_reader, provider="apns", address=" " + "ab" * 32)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(kept()) == 1


def test_an_address_belongs_to_its_last_registrant(client, make_reader, put):
    one, other = make_reader(), make_reader()
    first = put(one, **PHONE)
    second = put(other, **PHONE)
    assert second.status_code == 201
    assert second.json() != first.json()
    assert ids(client, one) == []
    assert ids(client, other) == [second.json()["id"]]


@pytest.fixture
def imported(engine):
    """A subscriber whom a file of another vendor named, with the topics of its tags."""
    line = json.dumps({**PHONE, "topics": ["sport", "world"], "timezone": "Asia/Kolkata"})
    with transaction(engine) as session:
        for path in ("sport", "world"):
            a_topic(session, path)
    assert import_readers(engine, [line]).additions == 1


def follows(client, headers):
    items = client.get("/api/me/subscriptions", headers=headers).json()["items"]
    return {item["topic"]: item["least_urgency"] for item in items}


def test_a_reader_who_registers_an_imported_address_is_the_imported_reader(
    client, make_reader, put, kept, imported, engine
):
    (device,) = kept()
    reader = make_reader()
    terms = {"least_urgency": "breaking"}
    client.put("/api/me/subscriptions/world", headers=reader, json=terms)
    assert put(reader, **PHONE).status_code == 200
    assert follows(client, reader) == {"sport": "quiet", "world": "breaking"}
    assert ids(client, reader) == [str(device.id)]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM reader")).scalar_one() == 1
    other = make_reader()
    assert put(other, **PHONE).status_code == 201
    assert follows(client, other) == {}


def test_an_imported_address_that_is_replaced_brings_its_follows_and_its_device(
    client, as_reader, put, kept, imported
):
    (device,) = kept()
    new = {**PHONE, "address": "cd" * 32, "replaces": PHONE["address"]}
    assert put(as_reader, **new).json() == {"id": str(device.id)}
    assert sorted(follows(client, as_reader)) == ["sport", "world"]
    assert [row.address for row in kept()] == ["cd" * 32]


def test_an_installation_id_replaces_its_token_under_the_same_device(client, as_reader, put, kept):
    old = put(as_reader, provider="fcm", address=TOKEN).json()
    new = put(as_reader, provider="fcm", address=FID, replaces=TOKEN)
    assert (new.status_code, new.json()) == (200, old)
    assert ids(client, as_reader) == [old["id"]]
    assert [(row.kind, row.address) for row in kept()] == [("fid", FID)]


def test_what_is_replaced_is_found_in_any_of_its_spellings(as_reader, put):
    old = put(as_reader, provider="apns", address="ab" * 32).json()
    new = put(as_reader, provider="apns", address="cd" * 32, replaces="AB" * 32)
    assert (new.status_code, new.json()) == (200, old)


@pytest.mark.parametrize("replaces", ["ef" * 32, "no address at all", "", "ab" * 32])
def test_replacing_what_is_not_there_is_a_plain_registration(as_reader, put, kept, replaces):
    assert put(as_reader, **PHONE, replaces=replaces).status_code == 201
    assert len(kept("true")) == 1


def test_replaces_does_not_touch_the_device_of_another_reader(client, make_reader, put):
    one, other = make_reader(), make_reader()
    theirs = put(other, **PHONE).json()
    mine = put(one, provider="apns", address="cd" * 32, replaces=PHONE["address"])
    assert mine.status_code == 201
    assert ids(client, other) == [theirs["id"]]


def test_the_seventeenth_device_evicts_the_oldest_registration(client, as_reader, put):
    made = [put(as_reader, provider="apns", address=f"{n:064x}").json()["id"] for n in range(17)]
    assert ids(client, as_reader) == made[:0:-1]


def test_a_device_is_removed_by_its_reader_alone(client, make_reader, put, kept):
    one, other = make_reader(), make_reader()
    device_id = put(one, **PHONE).json()["id"]
    foreign = client.delete(f"/api/me/devices/{device_id}", headers=other)
    assert foreign.status_code == 404
    assert ids(client, one) == [device_id]
    assert client.delete(f"/api/me/devices/{device_id}", headers=one).status_code == 204
    assert client.delete(f"/api/me/devices/{device_id}", headers=one).status_code == 404
    assert kept() == []


@pytest.mark.parametrize("device_id", ["7", "0", "-1", "x", "9" * 25, "9223372036854775808", "%00"])
def test_an_unknown_device_is_not_found(client, as_reader, device_id):
    answer = client.delete(f"/api/me/devices/{device_id}", headers=as_reader)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_readers_who_register_one_address_at_once_all_get_an_answer_and_one_keeps_it(
    client, make_reader, put, kept
):
    readers = [make_reader() for _ in range(4)]
    answers = []

    def register(headers):
        answers.extend(put(headers, **PHONE).status_code for _ in range(5))

    threads = [threading.Thread(target=register, args=(one,)) for one in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 20
    assert set(answers) <= {200, 201}
    assert len(kept()) == 1
    assert sum(len(ids(client, one)) for one in readers) == 1


def test_a_group_of_registrations_reads_its_app_once(engine, settings, monkeypatch):
    lookups = []

    def find_app(session, registration):
        lookups.append(registration.provider)

    monkeypatch.setattr(app_lookup, "find_app", find_app)
    body = DeviceBody.model_validate(BROWSER).read()
    renewals = [(bytes(32), replace(body, address=f"{ENDPOINT}{n}")) for n in range(3)]
    write = registration_writer(settings)
    with transaction(engine) as session:
        assert write(session, renewals) == [None] * 3
    assert lookups == ["webpush"]
