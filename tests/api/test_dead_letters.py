"""Dead letters: read by people, replayed by name, under the same deliveries."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service import outbox
from service.actions import replays
from service.domain.delivery import Delivery, State
from service.store.deliveries import dead_letters
from service.store.schema import AlertRow
from service.store.session import transaction
from tests import builders as a

ACCEPTED, BURIED, CANCELLED = State.ACCEPTED, State.BURIED, State.CANCELLED
DOUBT = Delivery(BURIED, unknown=True, attempts=3)
LETTERS = "/api/admin/dead-letters"


class Messages:
    """A broker that keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


@pytest.fixture
def messages(app):
    app.state.broker = Messages()
    return app.state.broker.sent


@pytest.fixture
def call(client, as_admin, messages):
    def call(method, path, body=None, status=200):
        answer = client.request(method, path, json=body, headers=as_admin)
        assert answer.status_code == status, answer.text
        return answer.json()

    return call


def an_ended_alert(engine, **given):
    """An alert with two batches of three: two positions buried in the first, one in the second."""
    with transaction(engine) as session:
        values = {"state": "finished", "settled": True, "started_at": a.NOON, "finished_at": a.NOON}
        alert = a.an_alert(session, a.a_story(session), **(values | given))
        a.a_batch(session, alert, [BURIED, ACCEPTED, DOUBT])
        a.a_batch(session, alert, [BURIED, ACCEPTED, ACCEPTED], n=1, provider="fcm")
        bury = dead_letters.bury
        bury(session, alert.id, 0, 0, "apns", "too big", "413 PayloadTooLarge", [0])
        bury(session, alert.id, 0, 0, "apns", "too big", "413 PayloadTooLarge", [2])
        bury(session, alert.id, 0, 1, "fcm", "refused", "400 INVALID_ARGUMENT", [0])
        return alert.id


@pytest.fixture
def alert_id(engine):
    return an_ended_alert(engine)


def rows(engine, statement, **values):
    with transaction(engine) as session:
        return session.execute(text(statement), values).all()


def change(engine, statement, **values):
    with transaction(engine) as session:
        session.execute(text(statement), values)


def states(engine, n=0):
    return list(rows(engine, "SELECT states FROM batch WHERE n = :n", n=n)[0].states)


def test_letters_of_one_batch_reason_and_answer_are_one_row(call, alert_id):
    items = call("GET", LETTERS)["items"]
    found = {(one["provider"], one["reason"], one["answer"], one["devices"]) for one in items}
    assert found == {
        ("apns", "too big", "413 PayloadTooLarge", 2),
        ("fcm", "refused", "400 INVALID_ARGUMENT", 1),
    }
    assert {one["alert_id"] for one in items} == {str(alert_id)}
    assert all(isinstance(one["id"], str) for one in items)


def test_letters_are_found_by_alert_provider_and_reason(call, engine, alert_id):
    other = an_ended_alert(engine)
    queries = {f"alert={other}": 2, "provider=fcm": 2, f"alert={other}&reason=refused": 1}
    for query, count in queries.items():
        assert len(call("GET", f"{LETTERS}?{query}")["items"]) == count, query
    assert call("GET", f"{LETTERS}?provider=hms")["items"] == []
    call("GET", f"{LETTERS}?alert=x", status=422)


def test_letters_come_page_by_page(call, engine, alert_id):
    an_ended_alert(engine)
    first = call("GET", f"{LETTERS}?limit=3")
    rest = call("GET", f"{LETTERS}?limit=3&cursor={first['next']}")
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 4
    assert rest["next"] is None


def test_a_long_answer_is_bounded(engine, alert_id):
    with transaction(engine) as session:
        dead_letters.bury(session, alert_id, 0, 0, "apns", "r" * 999, "a" * 9999 + "\0", [1])
    kept = rows(engine, "SELECT reason, answer FROM dead_letter WHERE reason LIKE 'rrr%'")[0]
    assert (len(kept.reason), len(kept.answer)) == (300, 500)


def test_a_replay_returns_the_buried_to_pending_and_the_alert_to_sending(
    call, engine, alert_id, messages
):
    answer = call("POST", f"/api/alerts/{alert_id}/replay")
    assert (answer["devices"], answer["state"], answer["id"]) == (3, "sending", str(alert_id))
    report = call("GET", f"/api/alerts/{alert_id}")
    assert report["finished_at"] is None
    assert (report["totals"]["pending"], report["totals"]["accepted"]) == (3, 3)
    assert report["totals"]["planned"] == 6
    assert states(engine) == [0, ACCEPTED, Delivery(unknown=True).pack()]
    batch = rows(engine, "SELECT finished_at, lease_token FROM batch WHERE n = 0")[0]
    assert (batch.finished_at, batch.lease_token) == (None, None)
    assert messages == [outbox.Message("deliver", "normal", (alert_id,))]


def test_a_replay_is_stamped_and_not_repeated(call, engine, alert_id, messages):
    call("POST", f"/api/alerts/{alert_id}/replay")
    assert call("GET", LETTERS)["items"] == []
    replayed = call("GET", f"{LETTERS}?replayed=true")["items"]
    assert {one["replayed_by"] for one in replayed} == {"admin"}
    assert call("POST", f"/api/alerts/{alert_id}/replay")["devices"] == 0
    assert len(messages) == 1
    [entry] = rows(engine, "SELECT who, what, detail FROM audit WHERE verb = 'replay'")
    assert entry.what == f"alert:{alert_id}"
    assert entry.detail == {"devices": 3, "providers": ["apns", "fcm"]}


@pytest.mark.parametrize(
    ("which", "devices"),
    [
        ({"provider": "fcm"}, 1),
        ({"reason": "too big"}, 2),
        ({"provider": "fcm", "reason": "too big"}, 0),
        ({}, 3),
        ({"ids": []}, 0),
    ],
)
def test_some_letters_are_replayed_and_the_others_stay(
    call, engine, alert_id, messages, which, devices
):
    assert call("POST", f"{LETTERS}/replay", which) == {"devices": devices}
    left = sum(one["devices"] for one in call("GET", LETTERS)["items"])
    assert left == 3 - devices
    assert len(messages) == (devices > 0)


def test_letters_are_replayed_by_id_and_by_alert(call, engine, alert_id, messages):
    other = an_ended_alert(engine)
    [letter] = call("GET", f"{LETTERS}?alert={alert_id}&provider=fcm")["items"]
    assert call("POST", f"{LETTERS}/replay", {"ids": [letter["id"]]}) == {"devices": 1}
    assert call("POST", f"{LETTERS}/replay", {"alert": str(other)}) == {"devices": 3}
    assert [message.args for message in messages] == [(alert_id,), (other,)]


def test_a_replay_after_the_deadline_gets_the_same_time_again(call, engine, alert_id):
    change(engine, "UPDATE alert SET expires_at = now() - interval '1 day', ttl_s = 60")
    call("POST", f"/api/alerts/{alert_id}/replay")
    expires = call("GET", f"/api/alerts/{alert_id}")["expires_at"]
    left = datetime.fromisoformat(expires) - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)


def test_a_replay_before_the_deadline_leaves_it(call, engine, alert_id):
    before = call("GET", f"/api/alerts/{alert_id}")["expires_at"]
    call("POST", f"/api/alerts/{alert_id}/replay")
    assert call("GET", f"/api/alerts/{alert_id}")["expires_at"] == before


def test_a_provider_that_had_rejected_the_alert_is_tried_again(call, engine, alert_id):
    change(engine, "UPDATE alert SET rejected_by = '{fcm,apns}'")
    call("POST", f"{LETTERS}/replay", {"provider": "fcm"})
    assert rows(engine, "SELECT rejected_by FROM alert")[0].rejected_by == ["apns"]


def test_a_batch_that_a_worker_holds_is_left_to_it(call, engine, messages):
    alert_id = an_ended_alert(engine, state="sending", settled=False, finished_at=None)
    change(
        engine,
        "UPDATE batch SET finished_at = NULL, lease_token = 7, "
        "claimable_at = now() + interval '10 s' WHERE n = 0",
    )
    assert call("POST", f"/api/alerts/{alert_id}/replay")["devices"] == 1
    assert states(engine) == [BURIED, ACCEPTED, DOUBT.pack()]
    assert rows(engine, "SELECT lease_token FROM batch WHERE n = 0")[0].lease_token == 7
    change(engine, "UPDATE batch SET claimable_at = now() - interval '1 s' WHERE n = 0")
    assert call("POST", f"/api/alerts/{alert_id}/replay")["devices"] == 2
    assert rows(engine, "SELECT lease_token FROM batch WHERE n = 0")[0].lease_token is None


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE alert SET state = 'stopped', stop_reason = 'enough'",
        "UPDATE story SET state = 'retracted'",
        "UPDATE story SET expires_at = now()",
    ],
)
def test_what_must_not_be_sent_any_more_is_not_replayed(call, engine, alert_id, messages, spoil):
    change(engine, spoil)
    call("POST", f"/api/alerts/{alert_id}/replay", status=409)
    assert call("POST", f"{LETTERS}/replay", {}) == {"devices": 0}
    assert messages == []


@pytest.mark.parametrize(("state", "status"), [("finished", 409), ("scheduled", 200)])
def test_words_that_were_corrected_are_not_sent_again(call, engine, alert_id, state, status):
    with transaction(engine) as session:
        story = session.get(a.AlertRow, alert_id).story_id
        a.an_alert(
            session,
            session.get(a.StoryRow, story),
            kind="update",
            source_alert_id=alert_id,
            state=state,
        )
    call("POST", f"/api/alerts/{alert_id}/replay", status=status)


def test_a_replay_of_many_batches_goes_through_all_of_them(call, engine, monkeypatch):
    monkeypatch.setattr(replays, "BATCHES_PER_STATEMENT", 3)
    monkeypatch.setattr(replays, "STATEMENTS_PER_REPLAY", 3)
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="finished")
        for n in range(10):
            a.a_batch(session, alert, [BURIED], n=n, shard_n=n // 4)
            dead_letters.bury(session, alert.id, n // 4, n, "apns", "no", "", [0])
        alert_id = alert.id
    assert call("POST", f"/api/alerts/{alert_id}/replay")["devices"] == 9
    assert call("POST", f"/api/alerts/{alert_id}/replay")["devices"] == 1
    assert call("GET", f"/api/alerts/{alert_id}")["totals"]["pending"] == 10


def test_only_admins_read_and_replay_letters(client, as_editor):
    assert client.get(LETTERS, headers=as_editor).status_code == 403
    assert client.post(f"{LETTERS}/replay", json={}, headers=as_editor).status_code == 403
    assert client.get(LETTERS).status_code == 401


def test_a_replay_takes_what_a_providers_rejection_cancelled(call, engine, messages):
    alert_id = an_ended_alert(engine, rejected_by=["fcm"])
    unknown = Delivery(CANCELLED, unknown=True, attempts=1)
    with transaction(engine) as session:
        alert = session.get(AlertRow, alert_id)
        a.a_batch(session, alert, [CANCELLED, unknown, ACCEPTED], n=2, provider="fcm")
        a.a_batch(session, alert, [CANCELLED, ACCEPTED], n=3, provider="apns")
    assert call("POST", f"/api/alerts/{alert_id}/replay")["devices"] == 5
    assert [Delivery.unpack(byte) for byte in states(engine, n=2)] == [
        Delivery(State.PENDING),
        Delivery(State.PENDING, unknown=True),
        Delivery(ACCEPTED),
    ]
    assert Delivery.unpack(states(engine, n=3)[0]).state is CANCELLED
    assert rows(engine, "SELECT rejected_by FROM alert")[0].rejected_by == []


def test_a_replay_of_one_reason_leaves_what_was_cancelled(call, engine):
    alert_id = an_ended_alert(engine, rejected_by=["fcm"])
    with transaction(engine) as session:
        a.a_batch(session, session.get(AlertRow, alert_id), [CANCELLED], n=2, provider="fcm")
    call("POST", f"{LETTERS}/replay", {"alert": str(alert_id), "reason": "refused"})
    assert Delivery.unpack(states(engine, n=2)[0]).state is CANCELLED
