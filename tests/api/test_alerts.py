"""Send Push over JSON: every promise of the calls on alerts, but for the sending itself."""

import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service import outbox
from service.actions import estimates
from service.domain.audience import LeftOut
from service.domain.delivery import State
from service.store.deliveries import dead_letters
from service.store.readers import audience_counts
from service.store.session import transaction
from tests import builders as a

SITE = "https://news.example"
PENDING, ACCEPTED, CANCELLED = State.PENDING, State.ACCEPTED, State.CANCELLED
BURIED, GONE = State.BURIED, State.GONE


class Messages:
    """A broker that keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


NOBODY_LEFT_OUT = {reason.value: 0 for reason in LeftOut}


@pytest.fixture
def messages(app):
    app.state.broker = Messages()
    return app.state.broker.sent


@pytest.fixture
def call(client, as_editor, messages):
    def call(method, path, body=None, status=None, **headers):
        answer = client.request(method, path, json=body, headers=as_editor | headers)
        assert status is None or answer.status_code == status, answer.text
        return answer.json()

    return call


@pytest.fixture
def make(engine):
    """Put rows there and commit them: make(a.a_story, state="draft")."""

    def make(builder, *args, **given):
        with transaction(engine) as session:
            row = builder(session, *args, **given)
            session.expunge(row)
            return row

    return make


@pytest.fixture
def story(make):
    make(a.a_topic, "world")
    return make(a.a_story, headline="Rain", summary="It rains.", topics=["world"])


@pytest.fixture
def send(call, story):
    def send(body=None, status=202, story_id=None, **headers):
        return call("POST", f"/api/stories/{story_id or story.id}/alerts", body, status, **headers)

    return send


def ran(engine, alert, *deliveries, state="finished", **given):
    """Pretend that an alert was planned and sent, with one batch of these deliveries."""
    with transaction(engine) as session:
        session.execute(
            text(
                "UPDATE alert SET state = :s, started_at = now(), settled = (:s = 'finished') "
                "WHERE id = :a"
            ),
            {"s": state, "a": int(alert["id"])},
        )
        row = session.get(a.AlertRow, int(alert["id"]))
        a.a_shard(session, row)
        return list(a.a_batch(session, row, deliveries, **given).device_ids)


def errors(problem):
    return [error["field"] for error in problem["errors"]]


# --- sending ---


def test_an_alert_is_accepted_with_the_storys_words_and_its_plan_asked_for(send, call, messages):
    answer = send()
    assert answer["state"] == "planning"
    assert answer["url"] == f"{SITE}/desk/alerts/{answer['id']}"
    shown = call("GET", f"/api/alerts/{answer['id']}", status=200)
    assert (shown["title"], shown["body"]) == ("Rain", "It rains.")
    assert (shown["urgency"], shown["dry_run"]) == ("normal", False)
    assert "stop_reason" not in shown
    assert messages == [outbox.Message("plan_alert", "normal", (int(answer["id"]),))]


def test_a_report_has_the_promised_members_and_zeros_before_the_plan(send, call, story):
    shown = call("GET", f"/api/alerts/{send()['id']}", status=200)
    zeros = dict.fromkeys(["planned", *(state.name.lower() for state in State)], 0)
    assert shown["totals"] == zeros
    assert shown["by_provider"] == {}
    assert shown["timing"] == dict.fromkeys(["first_ms", "p50_ms", "p90_ms", "last_ms"])
    assert shown["receipts"] == {"shown": 0, "opened": 0}
    assert shown["left_out"] == NOBODY_LEFT_OUT
    assert shown["story_id"] == str(story.id)
    assert shown["send_at"] is shown["started_at"] is shown["finished_at"] is None
    lives = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(
        shown["created_at"]
    )
    assert lives == timedelta(hours=4)


def test_a_body_may_be_left_out_altogether(client, as_editor, messages, story):
    answer = client.post(f"/api/stories/{story.id}/alerts", headers=as_editor)
    assert answer.status_code == 202


def test_a_breaking_alert_waits_in_the_urgent_queue(send, messages):
    send({"urgency": "breaking"})
    assert [message.queue for message in messages] == ["urgent"]


def test_a_dry_run_and_words_of_ones_own_are_kept(send, call):
    answer = send(
        {
            "title": "Own ☔",
            "body": "",
            "dry_run": True,
            "ttl_seconds": 1,
            "locales": {"hi": {"title": "बारिश", "body": "आख़िर"}},
        }
    )
    shown = call("GET", f"/api/alerts/{answer['id']}")
    assert (shown["title"], shown["body"], shown["dry_run"]) == ("Own ☔", "", True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"topics": ["world"], "everyone": True}, "topics"),
        ({"topics": ["wrold"]}, "topics"),
        ({"topics": []}, "topics"),
        ({"topics": "world"}, "topics"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"ttl_seconds": 28 * 86400 + 1}, "ttl_seconds"),
        ({"ttl_seconds": "long"}, "ttl_seconds"),
        ({"title": " "}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"body": 5}, "body"),
        ({"urgency": "high"}, "urgency"),
        ({"send_at": "2030-01-01T00:00:00"}, "send_at"),
        ({"send_at": "tomorrow"}, "send_at"),
        ({"send_at": "9999-12-31T23:59:59Z"}, "send_at"),
        ({"locales": {"not a tag": {"title": "a", "body": "b"}}}, "locales"),
        ({"locales": {"hi": {"title": "a"}}}, "locales.hi.body"),
        ({"locales": {"hi": {"title": "", "body": "b"}}}, "locales.hi.title"),
        ({"udpate": True}, "udpate"),
        ({"spread_seconds": 3601}, "spread_seconds"),
        ({"spread_seconds": -1}, "spread_seconds"),
        ({"spread_seconds": 60, "urgency": "breaking"}, "spread_seconds"),
        ({"spread_seconds": 60, "update": True}, "spread_seconds"),
        ({"spread_seconds": 60, "ttl_seconds": 60}, "spread_seconds"),
        ({"local_time": "7:00"}, "local_time"),
        ({"local_time": "07:00", "urgency": "breaking"}, "local_time"),
        ({"local_time": "07:00", "update": True}, "local_time"),
        ({"local_time": "07:00", "spread_seconds": 60}, "local_time"),
        ({"local_time": "07:00", "missed": "never"}, "missed"),
        ({"missed": "now"}, "missed"),
        ({"variants": [{"title": "a"}]}, "variants"),
        ({"variants": [{"title": "a"}, {"title": "b"}], "title": "c"}, "variants"),
        ({"variants": [{"title": "a"}, {"title": "a"}]}, "variants"),
        ({"variants": [{"title": "a"}, {"title": "b"}], "urgency": "breaking"}, "variants"),
        ({"variants": [{"title": "a"}, {"title": "b"}], "test_share": 0.01}, "test_share"),
        ({"variants": [{"title": "a"}, {"title": "b"}], "test_minutes": 121}, "test_minutes"),
    ],
)
def test_a_wrong_field_is_named_and_changes_nothing(call, story, engine, messages, body, field):
    for path in ("alerts", "alerts/estimate"):
        problem = call("POST", f"/api/stories/{story.id}/{path}", body, 422)
        assert field in errors(problem)
    with transaction(engine) as session:
        assert session.execute(text("SELECT count(*) FROM alert")).scalar_one() == 0
    assert messages == []


def test_an_unknown_story_is_not_found(call, messages):
    for path in ("alerts", "alerts/estimate"):
        call("POST", f"/api/stories/{a.an_id()}/{path}", {}, 404)
        call("POST", f"/api/stories/rain/{path}", {}, 404)


@pytest.mark.parametrize(
    "given",
    [
        {"state": "draft"},
        {"state": "retracted"},
        {"expires_at": a.NOON},
        {"embargo_until": datetime(2999, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_story_that_is_not_out_cannot_be_pushed_but_its_audience_can_be_asked(
    call, make, given, messages
):
    story = make(a.a_story, **given)
    call("POST", f"/api/stories/{story.id}/alerts", {}, 409)
    call("POST", f"/api/stories/{story.id}/alerts", {"dry_run": True}, 409)
    call("POST", f"/api/stories/{story.id}/alerts/estimate", {}, 200)
    assert messages == []


def test_an_alert_may_be_scheduled_for_when_the_embargo_lifts(call, make, messages):
    lifts = datetime.now(UTC) + timedelta(hours=1)
    story = make(a.a_story, embargo_until=lifts)
    path = f"/api/stories/{story.id}/alerts"
    early = (lifts - timedelta(seconds=1)).isoformat()
    call("POST", path, {"send_at": early}, 409)
    assert call("POST", path, {"send_at": lifts.isoformat()}, 202)["state"] == "scheduled"
    assert messages == []


def test_a_scheduled_alert_follows_its_storys_edits(send, call, engine, story):
    due = datetime.now(UTC) + timedelta(hours=2)
    answer = send({"send_at": due.isoformat(), "ttl_seconds": 60})
    with transaction(engine) as session:
        session.execute(text("UPDATE story SET headline = 'Flood'"))
    shown = call("GET", f"/api/alerts/{answer['id']}")
    assert (shown["state"], shown["title"]) == ("scheduled", "Flood")
    assert datetime.fromisoformat(shown["send_at"]) == due
    assert datetime.fromisoformat(shown["expires_at"]) == due + timedelta(seconds=60)


def test_a_send_time_in_the_past_means_now(send, messages):
    assert send({"send_at": "2020-01-01T00:00:00+05:30"})["state"] == "planning"
    assert len(messages) == 1


# --- one intent, one alert ---


def test_the_second_alert_of_a_story_is_refused_and_names_the_first(send):
    first = send()
    problem = send(status=409)
    assert problem["first"] == {"id": first["id"], "url": first["url"]}


def test_dry_runs_take_nobodys_place(send):
    send({"dry_run": True})
    send()
    send({"dry_run": True})
    send(status=409)


def simultaneously(count, act):
    start, answers = threading.Barrier(count), []

    def one():
        start.wait()
        answers.append(act())

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_two_editors_at_the_same_moment_make_one_alert(client, as_editor, story, messages):
    def press():
        return client.post(f"/api/stories/{story.id}/alerts", json={}, headers=as_editor)

    answers = simultaneously(6, press)
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 5
    first = next(answer.json() for answer in answers if answer.status_code == 202)
    refused = [answer.json()["first"]["id"] for answer in answers if answer.status_code == 409]
    assert refused == [first["id"]] * 5
    assert [message.args for message in messages] == [(int(first["id"]),)]


KEY = "Idempotency-Key"


def test_a_repeated_key_gets_the_first_answer_and_does_nothing(send, messages):
    first = send({"title": "Own"}, **{KEY: "k1"})
    assert send({"title": "Own"}, **{KEY: "k1"}) == first
    assert len(messages) == 1


def test_a_key_with_another_body_is_refused(send):
    send({"title": "Own"}, **{KEY: "k1"})
    assert "key-reused" in send({"title": "Other"}, 422, **{KEY: "k1"})["type"]


def test_a_refused_request_uses_no_key_up(send):
    send({"title": ""}, 422, **{KEY: "k1"})
    send({"topics": ["wrold"]}, 422, **{KEY: "k1"})
    send({}, 202, **{KEY: "k1"})


def test_a_key_belongs_to_its_story_and_its_caller(client, send, make, make_key, story):
    other = make(a.a_story)
    send({}, **{KEY: "k1"})
    send({}, story_id=other.id, **{KEY: "k1"})
    stranger = make_key("alerts:write", name="other")
    answer = client.post(
        f"/api/stories/{story.id}/alerts",
        json={},
        headers={"Authorization": f"Bearer {stranger}", KEY: "k1"},
    )
    assert answer.status_code == 409


def test_simultaneous_requests_with_one_key_act_once(client, as_editor, story, messages, engine):
    def press():
        return client.post(
            f"/api/stories/{story.id}/alerts",
            json={"dry_run": True},
            headers=as_editor | {KEY: "k1"},
        )

    answers = simultaneously(6, press)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(messages) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(send, key):
    send({}, 422, **{KEY: key})


# --- estimate ---


@pytest.fixture
def followers(engine, story):
    """Three followers of the world with four devices, and one reader of nothing."""
    with transaction(engine) as session:
        world = session.execute(text("SELECT id FROM topic WHERE path = 'world'")).scalar_one()
        for providers in (("apns", "fcm"), ("fcm",), ("webpush",), ()):
            reader = a.a_reader(session)
            for provider in providers or ("apns",):
                a.a_device(session, reader, provider=provider)
            if providers:
                a.a_follow(session, reader, session.get(a.TopicRow, world))


def test_an_estimate_counts_the_storys_followers(call, story, followers):
    found = call("POST", f"/api/stories/{story.id}/alerts/estimate", {}, 200)
    assert found == {
        "devices": 4,
        "by_provider": {"apns": 1, "fcm": 2, "webpush": 1},
        "by_app": {"apns": 1, "fcm": 2, "webpush": 1},
        "exact": True,
        "left_out": NOBODY_LEFT_OUT,
        "spread_seconds": 0,
        "open_share": 0.05,
        "opens_per_second": 0.0,
    }


def test_an_estimate_says_how_many_opens_a_second_to_expect(call, story, followers, monkeypatch):
    monkeypatch.setattr(estimates, "past_open_share", lambda _: 0.9)
    path = f"/api/stories/{story.id}/alerts/estimate"
    estimate = call("POST", path, {"spread_seconds": 180}, 200)
    assert (estimate["spread_seconds"], estimate["opens_per_second"]) == (180, 0.02)
    assert call("POST", path, {}, 200)["opens_per_second"] == 0.03


def test_a_story_that_expires_before_the_alert_has_left_is_refused(call, make, messages):
    expiry = datetime.now(UTC) + timedelta(minutes=30)
    path = f"/api/stories/{make(a.a_story, expires_at=expiry).id}/alerts"
    problem = call("POST", path, {"spread_seconds": 3600}, 422)
    assert "spread_seconds" in errors(problem)
    call("POST", path, {"spread_seconds": 900}, 202)


def test_a_report_says_over_how_long_an_alert_leaves_and_its_correction_has_the_same(
    call, send, story, engine
):
    first = send({"spread_seconds": 900})
    ran(engine, first, ACCEPTED)
    again = send({"update": True})
    breaking = send({"update": True, "urgency": "breaking"})
    spreads = [
        call("GET", f"/api/alerts/{alert['id']}", None, 200)["spread_seconds"]
        for alert in (first, again, breaking)
    ]
    assert spreads == [900, 900, 0]


def test_an_estimate_says_when_a_local_time_comes_where(call, story, engine):
    with transaction(engine) as session:
        for zone in ("Asia/Tokyo", "Europe/Berlin", "Europe/Paris", "Europe/Paris"):
            a.a_device(session, a.a_reader(session, timezone=zone))
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    body = {
        "everyone": True,
        "local_time": "23:30",
        "send_at": f"{tomorrow}T00:00:00-11:00",
    }
    found = call("POST", f"/api/stories/{story.id}/alerts/estimate", body, 200)["releases"]
    assert [(each["zone"], each["devices"]) for each in found] == [
        ("Asia/Tokyo", 1),
        ("Europe/Paris", 3),
    ]
    assert found[0]["leaves_at"] == f"{tomorrow}T14:30:00+00:00"
    assert "releases" not in call("POST", f"/api/stories/{story.id}/alerts/estimate", {}, 200)


def test_a_local_time_on_a_day_is_scheduled_for_the_first_zone_of_the_world(call, send):
    day = datetime.now(UTC).date() + timedelta(days=5)
    alert = send({"local_time": "07:00", "missed": "now", "send_at": f"{day}T09:00:00+05:30"})
    report = call("GET", f"/api/alerts/{alert['id']}", None, 200)
    assert (report["local_time"], report["local_day"], report["when_missed"]) == (
        "07:00",
        str(day),
        "now",
    )
    assert report["state"] == "scheduled"
    assert report["send_at"] == f"{day - timedelta(days=1)}T17:00:00+00:00"
    assert report["expires_at"] == f"{day}T23:00:00+00:00"
    assert "releases" not in report


TWO = {"variants": [{"title": "Rain"}, {"title": "Floods"}], "everyone": True}


def test_two_headlines_for_too_few_are_refused_with_the_number_that_is_needed(
    call, story, followers, monkeypatch, messages
):
    path = f"/api/stories/{story.id}/alerts"
    problem = call("POST", path, TWO, 422)
    assert errors(problem) == ["variants"]
    assert "it takes 14,710" in str(problem)
    assert call("POST", f"{path}/estimate", TWO, 200)["needed_devices"] == 14_710
    assert messages == []
    monkeypatch.setattr(estimates, "needed_devices", lambda _: 2)
    call("POST", path, TWO | {"test_share": 0.2}, 422)
    sent = call("POST", path, TWO | {"test_share": 0.5, "test_minutes": 5}, 202)
    report = call("GET", f"/api/alerts/{sent['id']}", None, 200)
    assert (report["title"], report["test_share"], report["test_minutes"]) == ("Rain", 0.5, 5)
    assert [each["title"] for each in report["variants"]] == ["Rain", "Floods"]
    assert report["variants"][1] == {
        "title": "Floods",
        "body": "It rains.",
        "sent": 0,
        "accepted": 0,
        "opened": 0,
    }
    assert "chosen" not in report


def test_a_report_says_which_headline_was_chosen_and_why(call, send, engine, monkeypatch):
    monkeypatch.setattr(estimates, "needed_devices", lambda _: 0)
    alert = send(TWO)
    with transaction(engine) as session:
        values = {"a": int(alert["id"])}
        session.execute(text("INSERT INTO headline_choice VALUES (:a, 1, 'It was.')"), values)
    report = call("GET", f"/api/alerts/{alert['id']}", None, 200)
    assert (report["chosen"], report["reason"]) == (1, "It was.")


def test_an_estimate_counts_everyone(call, story, followers):
    path = f"/api/stories/{story.id}/alerts/estimate"
    assert call("POST", path, {"everyone": True}, 200)["devices"] == 5


def test_an_estimate_of_a_correction_counts_those_who_got_the_first(call, send, story, engine):
    path = f"/api/stories/{story.id}/alerts/estimate"
    assert call("POST", path, {"update": True}, 200)["devices"] == 0
    ran(engine, send(), ACCEPTED, ACCEPTED, GONE, BURIED)
    assert call("POST", path, {"update": True}, 200)["devices"] == 2


def test_an_estimate_of_a_correction_before_the_plan_counts_the_whole_audience(
    call, send, story, followers
):
    send()
    path = f"/api/stories/{story.id}/alerts/estimate"
    assert call("POST", path, {"update": True}, 200)["devices"] == 4


def test_an_estimate_of_a_large_correction_is_made_from_sums(
    call, send, story, engine, monkeypatch
):
    monkeypatch.setattr(audience_counts, "EXACT_UP_TO", 3)
    ran(engine, send(), ACCEPTED, ACCEPTED, GONE, PENDING, state="sending")
    found = call("POST", f"/api/stories/{story.id}/alerts/estimate", {"update": True}, 200)
    by_name = {"apns": 3}
    due = {"devices": 3, "by_provider": by_name, "by_app": by_name, "exact": False}
    assert due.items() <= found.items()


# --- stop ---


def test_a_stop_is_immediate_and_may_be_repeated(send, call, engine):
    alert = send()
    ran(engine, alert, PENDING, ACCEPTED, state="sending")
    stopped = call("POST", f"/api/alerts/{alert['id']}/stop", status=200)
    assert (stopped["state"], stopped["stop_reason"]) == ("stopped", "stopped by editor")
    assert call("POST", f"/api/alerts/{alert['id']}/stop", status=200) == stopped


def test_an_alert_that_has_ended_stays_as_it_is(send, call, engine):
    alert = send()
    ran(engine, alert, ACCEPTED)
    assert call("POST", f"/api/alerts/{alert['id']}/stop", status=200)["state"] == "finished"


def test_a_stopped_scheduled_alert_frees_its_story_at_once(send, call):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    alert = send({"send_at": later})
    send({}, 409)
    call("POST", f"/api/alerts/{alert['id']}/stop", status=200)
    send({}, 202)


def test_retracting_a_story_stops_its_alerts_but_no_withdrawal(send, call, engine, story):
    alert = send()
    ran(engine, alert, ACCEPTED, PENDING, state="sending")
    words = {"title": "Withdrawn", "body": "We were wrong."}
    taken_back = call("POST", f"/api/alerts/{alert['id']}/withdraw", words, 202)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    wider = send({"update": True, "everyone": True, "send_at": later})
    call("POST", f"/api/stories/{story.id}/retract", {}, 200)
    states = [call("GET", f"/api/alerts/{one['id']}")["state"] for one in (wider, taken_back)]
    assert states == ["stopped", "planning"]


# --- corrections and withdrawals ---


def test_a_correction_stops_the_first_and_continues_its_chain(send, call, engine, messages):
    first = send()
    ran(engine, first, ACCEPTED, PENDING, state="sending")
    correction = send({"update": True, "title": "Rain, corrected"})
    shown = call("GET", f"/api/alerts/{correction['id']}")
    assert (shown["kind"], shown["source_alert_id"]) == ("update", first["id"])
    stopped = call("GET", f"/api/alerts/{first['id']}")
    assert stopped["state"] == "stopped"
    assert stopped["stop_reason"] == f"corrected by {correction['id']}"
    assert [message.args for message in messages][-1] == (int(correction["id"]),)


def test_a_correction_of_a_correction_goes_back_to_the_root(send, call, engine):
    first = send()
    ran(engine, first, ACCEPTED)
    ran(engine, send({"update": True}), BURIED)
    last = send({"update": True})
    assert call("GET", f"/api/alerts/{last['id']}")["source_alert_id"] == first["id"]
    assert call("GET", f"/api/alerts/{first['id']}")["state"] == "finished"


def test_a_correction_before_anything_was_planned_takes_the_whole_audience(send, call, engine):
    first = send({"everyone": True})
    correction = send({"update": True, "title": "Better"})
    assert call("GET", f"/api/alerts/{first['id']}")["state"] == "stopped"
    with transaction(engine) as session:
        row = session.get(a.AlertRow, int(correction["id"]))
        assert (row.kind, row.everyone, row.source_alert_id) == ("first", True, None)
    assert send({}, 409)["first"]["id"] == correction["id"]


def test_there_is_nothing_to_correct_before_the_first_alert(send):
    send({"update": True}, 409)
    send({"update": True, "everyone": True}, 409)
    send({"dry_run": True})
    send({"update": True}, 409)


def test_a_scheduled_first_alert_is_edited_not_corrected(send, messages):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    send({"send_at": later})
    send({"update": True}, 409)


def test_a_scheduled_correction_leaves_the_first_alone_until_its_time(send, call, engine):
    first = send()
    ran(engine, first, PENDING, state="sending")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    send({"update": True, "send_at": later})
    assert call("GET", f"/api/alerts/{first['id']}")["state"] == "sending"


def test_an_update_for_an_audience_of_its_own_stops_nothing(send, call, engine):
    first = send()
    ran(engine, first, PENDING, state="sending")
    wider = send({"update": True, "everyone": True})
    assert call("GET", f"/api/alerts/{first['id']}")["state"] == "sending"
    assert "source_alert_id" not in call("GET", f"/api/alerts/{wider['id']}")
    with transaction(engine) as session:
        keys = session.execute(text("SELECT count(DISTINCT collapse_key) FROM alert"))
        assert keys.scalar_one() == 1


def test_a_dry_correction_stops_nothing(send, call, engine):
    first = send()
    ran(engine, first, PENDING, state="sending")
    send({"update": True, "dry_run": True})
    assert call("GET", f"/api/alerts/{first['id']}")["state"] == "sending"


def test_a_withdrawal_stops_and_replaces(send, call, engine, messages):
    first = send({"urgency": "breaking", "ttl_seconds": 600})
    ran(engine, first, ACCEPTED, PENDING, state="sending")
    words = {"title": "Withdrawn", "body": "We were wrong."}
    answer = call("POST", f"/api/alerts/{first['id']}/withdraw", words, 202)
    shown = call("GET", f"/api/alerts/{answer['id']}")
    assert (shown["kind"], shown["source_alert_id"]) == ("withdrawal", first["id"])
    assert (shown["title"], shown["body"]) == ("Withdrawn", "We were wrong.")
    stopped = call("GET", f"/api/alerts/{first['id']}")
    assert stopped["stop_reason"] == f"withdrawn by {answer['id']}"
    assert datetime.fromisoformat(shown["expires_at"]) >= datetime.fromisoformat(
        stopped["expires_at"]
    )
    assert messages[-1] == outbox.Message("plan_alert", "urgent", (int(answer["id"]),))


def test_a_withdrawal_of_a_correction_takes_the_whole_chain_back(send, call, engine):
    first = send()
    ran(engine, first, ACCEPTED)
    correction = send({"update": True})
    words = {"title": "Withdrawn", "body": ""}
    answer = call("POST", f"/api/alerts/{correction['id']}/withdraw", words, 202)
    assert call("GET", f"/api/alerts/{answer['id']}")["source_alert_id"] == first["id"]
    assert call("GET", f"/api/alerts/{correction['id']}")["state"] == "stopped"


def test_a_withdrawal_is_possible_when_the_story_is_retracted(send, call, engine, story):
    first = send()
    ran(engine, first, ACCEPTED)
    call("POST", f"/api/stories/{story.id}/retract", {}, 200)
    words = {"title": "Withdrawn", "body": ""}
    call("POST", f"/api/alerts/{first['id']}/withdraw", words, 202)


def test_what_is_on_no_device_cannot_be_withdrawn(send, call):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    words = {"title": "Withdrawn", "body": ""}
    for body in ({"dry_run": True}, {"send_at": later}):
        call("POST", f"/api/alerts/{send(body)['id']}/withdraw", words, 409)


@pytest.mark.parametrize("words", [{}, {"title": "x"}, {"title": " ", "body": ""}])
def test_a_withdrawal_needs_words(send, call, words):
    call("POST", f"/api/alerts/{send()['id']}/withdraw", words, 422)


def test_a_repeated_withdrawal_with_one_key_withdraws_once(send, call, engine):
    alert = send()
    ran(engine, alert, ACCEPTED)
    path, words = f"/api/alerts/{alert['id']}/withdraw", {"title": "Withdrawn", "body": ""}
    first = call("POST", path, words, 202, **{KEY: "w"})
    assert call("POST", path, words, 202, **{KEY: "w"}) == first
    call("POST", path, words | {"body": "x"}, 422, **{KEY: "w"})


# --- what happened to one device; lists; who may ask ---


def test_one_devices_delivery_is_told_with_its_reason(send, call, engine):
    alert = send()
    accepted, buried = ran(engine, alert, ACCEPTED, BURIED)
    with transaction(engine) as session:
        dead_letters.bury(session, int(alert["id"]), 0, 0, "apns", "too big", "413", [1])
    path = f"/api/alerts/{alert['id']}/devices"
    fate = call("GET", f"{path}/{accepted}", status=200)
    assert (fate["state"], fate["provider"]) == ("accepted", "apns")
    assert "reason" not in fate
    fate = call("GET", f"{path}/{buried}", status=200)
    assert (fate["state"], fate["reason"]) == ("buried", "too big: 413")
    call("GET", f"{path}/{a.an_id()}", status=404)


def test_alerts_are_listed_the_newest_first_and_page_by_page(call, send, make):
    ids = [send(story_id=make(a.a_story).id)["id"] for _ in range(5)]
    first = call("GET", "/api/alerts?limit=3", status=200)
    rest = call("GET", f"/api/alerts?limit=3&cursor={first['next']}", status=200)
    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None
    call("GET", "/api/alerts?cursor=nonsense", status=422)
    call("GET", "/api/alerts?limit=201", status=422)


CALLS = [
    ("POST", "/api/stories/1/alerts"),
    ("POST", "/api/stories/1/alerts/estimate"),
    ("GET", "/api/alerts"),
    ("GET", "/api/alerts/1"),
    ("GET", "/api/alerts/1/events"),
    ("GET", "/api/alerts/1/devices/1"),
    ("POST", "/api/alerts/1/stop"),
    ("POST", "/api/alerts/1/replay"),
    ("POST", "/api/alerts/1/withdraw"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_the_scope_for_alerts(client, as_ingester, method, path):
    assert client.request(method, path).status_code == 401
    assert client.request(method, path, headers=as_ingester).status_code == 403


@pytest.mark.parametrize(("method", "path"), CALLS[3:])
def test_an_unknown_alert_is_not_found(call, method, path):
    body = {"title": "x", "body": "y"} if path.endswith("withdraw") else None
    call(method, path, body, 404)


def test_who_did_what_is_written_down(send, call, engine):
    alert = send()
    ran(engine, alert, ACCEPTED, state="sending")
    call("POST", f"/api/alerts/{alert['id']}/stop")
    call("POST", f"/api/alerts/{alert['id']}/withdraw", {"title": "x", "body": ""}, 202)
    with transaction(engine) as session:
        rows = session.execute(
            text("SELECT verb, who FROM audit WHERE what = :w ORDER BY at"),
            {"w": f"alert:{alert['id']}"},
        ).all()
    assert [row.verb for row in rows] == ["send", "stop", "withdraw"]
    assert all(row.who.startswith("key:") for row in rows)


def test_ids_are_strings_everywhere(send, call, engine):
    answer = send()
    shown = call("GET", f"/api/alerts/{answer['id']}")
    for name, value in itertools.chain(answer.items(), shown.items()):
        assert not (name.endswith("id") and isinstance(value, int)), name
