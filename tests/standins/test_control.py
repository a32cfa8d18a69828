import json

import psutil
import pytest

from tests.standins.senders import DATA, FCM_TOKEN, Browser
from tests.standins.test_misbehaviour import device


def body_of(**data: str) -> bytes:
    return json.dumps({"aps": {"alert": {"title": "t", "body": "b"}}, **data}).encode()


@pytest.fixture
def received(apple, google, control):
    for number in range(5):
        apple.push(device(number), body_of(alert_id="1"))
    apple.push(device(0), body_of(alert_id="2"))
    apple.push(device(1), body_of(alert_id="1"))
    google.push(data=DATA | {"alert_id": "1"})
    return control


@pytest.mark.parametrize(
    ("query", "count", "devices"),
    [
        ("", 8, 6),
        ("alert_id=1", 7, 6),
        ("alert_id=2", 1, 1),
        ("alert_id=3", 0, 0),
        ("provider=apns", 7, 5),
        ("provider=webpush", 0, 0),
        ("provider=apns&alert_id=1", 6, 5),
        ("provider=fcm&alert_id=2", 0, 0),
        (f"address={device(0)}", 2, 1),
        (f"address={device(0)}&alert_id=2", 1, 1),
        (f"address={device(9)}", 0, 0),
        (f"provider=apns&address={FCM_TOKEN}", 0, 0),
    ],
)
def test_pushes_and_devices_are_counted_by_each_filter(received, query, count, devices):
    answer = received.get(f"/control/pushes?{query}").json()
    assert (answer["count"], answer["devices"], len(answer["items"])) == (count, devices, count)


@pytest.mark.parametrize("query", ["", "alert_id=1", "provider=apns", f"address={device(0)}"])
def test_pages_join_to_the_whole(received, query):
    whole = received.get(f"/control/pushes?{query}").json()["items"]
    pages, after = [], 0
    while after is not None:
        page = received.get(f"/control/pushes?{query}&limit=2&after={after}").json()
        assert len(page["items"]) <= 2
        pages += page["items"]
        after = page["next"]
    assert pages == whole
    assert [item["at"] for item in pages] == sorted(item["at"] for item in pages)


@pytest.mark.parametrize("query", ["provider=pigeon", "limit=x", "after=-1", "limit=10001"])
def test_a_bad_query_is_refused(control, query):
    assert control.get(f"/control/pushes?{query}").status_code == 400


def test_deleted_pushes_are_gone(received):
    assert received.delete("/control/pushes").status_code == 204
    assert received.get("/control/pushes").json() == {
        "count": 0,
        "devices": 0,
        "items": [],
        "next": None,
    }
    assert received.get("/control/stats").json()["answers"] == {}


def test_statistics_name_what_was_received_twice(received):
    stats = received.get("/control/stats").json()
    assert stats["answers"] == {"apns": {"200": 7}, "fcm": {"200": 2}}
    assert sum(second.get("apns", 0) for second in stats["succeeded"]) == 7
    assert stats["repeats"] == 1
    assert stats["repeated"] == [{"provider": "apns", "address": device(1), "alert_id": "1"}]
    assert received.get("/control/stats?alert_id=2").json()["repeats"] == 0


def test_times_are_rfc_3339_in_utc(received):
    assert received.get("/control/pushes").json()["items"][0]["at"].endswith("Z")


def test_many_subscriptions_come_quickly_and_each_can_be_pushed_to(control, mozilla, standins):
    process = psutil.Process(standins.process.pid)
    before = sum(process.cpu_times()[:2])
    body = {"provider": "webpush", "count": 5000}
    answer = control.post("/control/subscriptions", json=body)
    assert answer.status_code == 201
    assert sum(process.cpu_times()[:2]) - before < 5
    items = answer.json()["items"]
    assert len({each["address"] for each in items}) == 5000
    assert mozilla.push(Browser(**items[-1])).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"provider": "apns"},
        {"provider": "webpush", "count": 0},
        {"provider": "webpush", "count": 100_001},
        {"provider": "webpush", "count": "5"},
        {"provider": "webpush", "application_server_key": 5},
        {"provider": "webpush", "application_server_key": "§"},
    ],
)
def test_a_bad_call_for_subscriptions_is_refused(control, body):
    assert control.post("/control/subscriptions", json=body).status_code == 400


def test_an_unknown_call_is_404_and_bad_json_400(control):
    assert control.get("/control/nothing").status_code == 404
    assert control.put("/control/weather", content=b"{").status_code == 400
    assert control.put("/control/weather", content=b"[]").status_code == 400
