"""A reader logs in with what the publisher's backend signed, and out again; a person is erased."""

import secrets
import threading
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text
from sqlmodel import SQLModel

from tests.workers.h2_server import wait_until

pytestmark = pytest.mark.usefixtures("providers")
SECRET = "a secret of the publisher's backend"
PERSON = "reader-7f3a"


def signed(key=SECRET, algorithm="HS256", *, life_s=300, **changes):
    claims = {
        "sub": PERSON,
        "aud": "apns",
        "exp": datetime.now(UTC) + timedelta(seconds=life_s),
    }
    return jwt.encode(claims | changes, key, algorithm)


@pytest.fixture
def login_key(client, as_admin):
    def change(key):
        answer = client.patch("/api/admin/apps/apns", headers=as_admin, json={"login_key": key})
        assert answer.status_code == 200, answer.text

    change(SECRET)
    return change


@pytest.fixture
def phone(client, as_admin, make_reader):
    """Make a reader with a phone who follows topics."""

    def make(*topics, **said):
        headers = make_reader(**said)
        body = {"provider": "apns", "address": secrets.token_hex(32)}
        assert client.put("/api/me/devices", headers=headers, json=body).status_code == 201
        for path in topics:
            client.post("/api/topics", headers=as_admin, json={"path": path})
            answer = client.put(f"/api/me/subscriptions/{path}", headers=headers, json={})
            assert answer.status_code == 201, answer.text
        return headers

    return make


def log_in(client, headers, token=None):
    """Log in; returns the answer and the headers to go on with."""
    answer = client.post("/api/me/login", headers=headers, json={"token": token or signed()})
    assert answer.status_code == 200, answer.text
    new = answer.json().get("token")
    return answer.json(), {"Authorization": f"Bearer {new}"} if new else headers


def follows(client, headers):
    items = client.get("/api/me/subscriptions", headers=headers).json()["items"]
    return [item["topic"] for item in items]


def devices(client, headers):
    return client.get("/api/me/devices", headers=headers).json()["items"]


def test_a_second_phone_finds_the_persons_follows_and_brings_its_own(client, phone, login_key):
    first = phone("sport", language="hi", timezone="Asia/Kolkata")
    person, same = log_in(client, first)
    assert same == first
    second = phone("climate", language="en")
    joined, headers = log_in(client, second)
    assert joined["id"] == person["id"]
    assert (joined["language"], joined["timezone"]) == ("hi", "Asia/Kolkata")
    assert follows(client, headers) == follows(client, first) == ["climate", "sport"]
    assert len(devices(client, first)) == 2
    assert client.get("/api/me", headers=second).status_code == 401


def test_the_export_of_a_reader_who_logged_in_names_the_publishers_id(client, phone, login_key):
    headers = phone("sport")
    assert client.get("/api/me/export", headers=headers).json()["external_id"] is None
    _, headers = log_in(client, headers)
    assert client.get("/api/me/export", headers=headers).json()["external_id"] == PERSON


def test_the_persons_own_terms_win_where_both_follow_a_topic(client, phone, login_key):
    first, second = phone("sport"), phone("sport")
    mute = {"muted_until": "2040-01-01T00:00:00Z"}
    client.put("/api/me/subscriptions/sport", headers=first, json={"least_urgency": "breaking"})
    client.put("/api/me/subscriptions/sport", headers=second, json=mute)
    log_in(client, first)
    _, headers = log_in(client, second)
    terms = client.get("/api/me/subscriptions/sport", headers=headers).json()
    assert (terms["least_urgency"], terms["muted_until"]) == ("breaking", None)


def test_what_a_reader_does_not_share_stays_so_through_a_login_and_a_logout(
    client, phone, login_key
):
    first = phone()
    log_in(client, first)
    second = phone()
    client.patch("/api/me", headers=second, json={"results": False, "alerts_per_day": 3})
    joined, headers = log_in(client, second)
    assert joined["results"] is False
    assert client.get("/api/me", headers=first).json()["results"] is False
    shown = client.post("/api/me/logout", headers=headers).json()
    assert (shown["results"], shown["alerts_per_day"]) == (False, None)
    assert client.get("/api/me", headers=headers).json() == shown


def test_after_a_logout_a_phone_is_anonymous_again_and_the_others_stay(client, phone, login_key):
    first = phone("sport")
    log_in(client, first)
    _, second = log_in(client, phone())
    body = {"provider": "apns", "address": secrets.token_hex(32)}
    client.put("/api/me/devices", headers=second, json=body)
    before = client.get("/api/me", headers=second).json()["id"]
    after = client.post("/api/me/logout", headers=second).json()["id"]
    assert after != before
    assert follows(client, second) == []
    assert len(devices(client, second)) == 2
    assert follows(client, first) == ["sport"]
    assert len(devices(client, first)) == 1
    assert client.post("/api/me/logout", headers=first).status_code == 200
    assert (follows(client, first), len(devices(client, first))) == ([], 1)
    joined, _ = log_in(client, second)
    assert joined["id"] == before


def test_a_login_as_somebody_else_comes_after_a_logout(client, phone, login_key):
    headers = phone("sport")
    log_in(client, headers)
    other, _ = log_in(client, headers, signed(sub="somebody else"))
    assert follows(client, headers) == []
    assert len(devices(client, headers)) == 1
    again, _ = log_in(client, headers, signed(sub="somebody else"))
    assert again["id"] == other["id"]


def test_a_login_by_public_key_is_taken(client, phone, login_key):
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    login_key(public.decode())
    log_in(client, phone(), signed(key, "ES256"))
    forged = signed(public.decode().replace("-----", "") + "x" * 40)
    answer = client.post("/api/me/login", headers=phone(), json={"token": forged})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (lambda: signed("another secret of thirty-two letters"), 403),
        (lambda: signed(life_s=-60), 403),
        (lambda: signed(life_s=7200), 403),
        (lambda: signed(aud="fcm"), 403),
        (lambda: signed(aud="nobody"), 403),
        (lambda: signed(sub=None), 403),
        (lambda: signed(sub=""), 422),
        (lambda: jwt.encode({"sub": PERSON, "aud": "apns"}, SECRET), 403),
        (lambda: jwt.encode({"sub": PERSON, "aud": "apns", "exp": 2**33}, "", "none"), 403),
        (lambda: jwt.encode({"sub": PERSON}, SECRET), 422),
        (lambda: "no token", 422),
    ],
)
def test_a_token_that_proves_nothing_changes_nothing(client, phone, login_key, token, status):
    headers = phone("sport")
    before = client.get("/api/me", headers=headers).json()
    answer = client.post("/api/me/login", headers=headers, json={"token": token()})
    assert answer.status_code == status, answer.text
    assert client.get("/api/me", headers=headers).json() == before
    assert client.get(f"/api/admin/people/{PERSON}", headers=headers).status_code == 401


def test_a_backend_follows_for_a_person_who_has_not_come_yet(client, as_admin, phone, login_key):
    path = f"/api/admin/people/{PERSON}"
    assert client.get(path, headers=as_admin).status_code == 404
    client.post("/api/topics", headers=as_admin, json={"path": "sport"})
    body = {"language": "hi", "subscriptions": {"sport": {"least_urgency": "normal"}}}
    answer = client.put(path, headers=as_admin, json=body)
    assert answer.status_code == 200, answer.text
    joined, headers = log_in(client, phone("climate"))
    assert joined["language"] == "hi"
    assert follows(client, headers) == ["climate", "sport"]
    shown = client.get(path, headers=as_admin).json()
    assert [device["app"] for device in shown["devices"]] == ["apns"]
    answer = client.put(path, headers=as_admin, json={"subscriptions": {"climate": {}}})
    assert [each["topic"] for each in answer.json()["subscriptions"]] == ["climate"]
    unknown = client.put(path, headers=as_admin, json={"subscriptions": {"nothing": {}}})
    assert unknown.status_code == 404
    assert follows(client, headers) == ["climate"]


def test_of_an_erased_person_nothing_is_left(client, as_admin, phone, login_key, engine):
    first = phone("sport")
    address = secrets.token_hex(32)
    body = {"provider": "apns", "address": address}
    client.put("/api/me/devices", headers=first, json=body)
    person, _ = log_in(client, first)
    _, second = log_in(client, phone())
    assert client.delete(f"/api/admin/people/{PERSON}", headers=as_admin).status_code == 204
    for headers in (first, second):
        assert client.get("/api/me", headers=headers).status_code == 401
    traces = (PERSON, address, person["id"])
    with engine.connect() as connection:
        for table in SQLModel.metadata.sorted_tables:
            rows = connection.execute(text(f'SELECT t::text FROM "{table.name}" t')).scalars()
            assert not [row for row in rows if any(each in row for each in traces)], table.name
    assert client.delete(f"/api/admin/people/{PERSON}", headers=as_admin).status_code == 404


@pytest.fixture
def log_in_twice(client, engine):
    """Log in twice at once by one token, as a client that sends again; returns the statuses."""

    def post(headers, person):
        body = {"token": signed(sub=person)}
        statuses = []

        def send():
            statuses.append(client.post("/api/me/login", headers=headers, json=body).status_code)

        threads = [threading.Thread(target=send) for _ in range(2)]
        with engine.begin() as holder:
            values = {"person": person}
            holder.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:person, 11))"), values
            )
            for thread in threads:
                thread.start()
            wait_until(lambda: holder.execute(WAITING).scalar_one() == len(threads))
        for thread in threads:
            thread.join()
        return sorted(statuses)

    return post


WAITING = text("""
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")


def test_a_first_login_that_is_sent_twice_is_one(client, phone, login_key, log_in_twice):
    headers = phone("sport")
    assert log_in_twice(headers, PERSON) == [200, 200]
    assert follows(client, headers) == ["sport"]
    assert len(devices(client, headers)) == 1


def test_a_login_that_is_sent_twice_joins_once(client, phone, login_key, log_in_twice):
    first = phone("sport")
    log_in(client, first)
    assert log_in_twice(phone("climate"), PERSON) == [200, 409]
    assert follows(client, first) == ["climate", "sport"]
    assert len(devices(client, first)) == 2


@pytest.mark.parametrize("is_known", [True, False])
def test_a_change_of_person_that_is_sent_twice_mixes_no_two_people(
    client, as_admin, phone, login_key, log_in_twice, is_known
):
    first = phone("sport")
    log_in(client, first)
    _, second = log_in(client, phone())
    if is_known:
        log_in(client, phone("climate"), signed(sub="somebody else"))
    assert log_in_twice(second, "somebody else") == [200, 409]
    assert follows(client, first) == ["sport"]
    assert len(devices(client, first)) == 1
    other = client.get("/api/admin/people/somebody else", headers=as_admin).json()
    topics = [each["topic"] for each in other["subscriptions"]]
    assert topics == (["climate"] if is_known else [])


def test_a_phone_whose_address_changes_often_leaves_with_its_login(client, phone, login_key):
    first = phone("sport")
    log_in(client, first)
    _, second = log_in(client, phone())
    for _ in range(60):
        body = {"provider": "apns", "address": secrets.token_hex(32)}
        assert client.put("/api/me/devices", headers=second, json=body).status_code == 201
    client.post("/api/me/logout", headers=second)
    assert devices(client, first) == []
    assert len(devices(client, second)) == 16


def test_logins_at_the_same_moment_are_one_person(client, phone, login_key):
    ids = []
    readers = [phone() for _ in range(3)]
    logins = [
        threading.Thread(target=lambda each=each: ids.append(log_in(client, each)[0]["id"]))
        for each in readers
    ]
    for login in logins:
        login.start()
    for login in logins:
        login.join()
    assert len(ids) == 3
    assert len(set(ids)) == 1
