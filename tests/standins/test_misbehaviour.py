import time

import httpx
import pytest

from tests.standins.senders import EXPO_TOKEN, HMS_TOKEN, Browser, Expo, Huawei
from workers.standins.misbehaviour.faults import Fault, FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings, draw
from workers.standins.misbehaviour.weather_request import InvalidWeather, read_misbehaviour


def device(number: int) -> str:
    return f"{number:064x}"


def put_weather(control, **weather) -> None:
    answer = control.put("/control/weather", json=weather)
    assert answer.status_code == 204, answer.text


def push_to_each(apple, count=40) -> list[int]:
    return [apple.push(device(number)).status_code for number in range(count)]


def settings_of(**weather) -> MisbehaviourSettings:
    settings = MisbehaviourSettings()
    settings.put(read_misbehaviour(weather))
    return settings


def test_a_draw_depends_on_seed_address_and_number_alone():
    assert draw(1, "a", 1) == draw(1, "a", 1)
    assert len({draw(1, "a", 1), draw(2, "a", 1), draw(1, "b", 1), draw(1, "a", 2)}) == 4
    points = [draw(0, str(n), 1) for n in range(20_000)]
    assert 0 <= min(points) < 0.001
    assert 0.999 < max(points) < 1
    assert 0.49 < sum(points) / len(points) < 0.51


def test_the_same_weather_repeats_itself(apple, control):
    weather = {"share": {"429": 0.2, "503": 0.2, "gone": 0.2, "refused": 0.2}, "seed": 7}
    put_weather(control, **weather)
    first = push_to_each(apple) + push_to_each(apple)
    put_weather(control, **weather)
    assert push_to_each(apple) + push_to_each(apple) == first
    assert set(first) == {200, 400, 410, 429, 503}
    assert first[:40] != first[40:]
    put_weather(control, **(weather | {"seed": 8}))
    assert push_to_each(apple) + push_to_each(apple) != first


def test_a_share_is_about_as_frequent_as_requested():
    settings = settings_of(share={"429": 0.1, "gone": 0.03})
    faults = [settings.next_fault("apns", str(n)) for n in range(20_000)]
    kinds = [fault.kind for fault in faults if fault is not None]
    assert 1_900 < kinds.count(FaultKind.TOO_MANY) < 2_100
    assert 520 < kinds.count(FaultKind.GONE) < 680
    assert len(kinds) == kinds.count(FaultKind.TOO_MANY) + kinds.count(FaultKind.GONE)


def test_a_push_that_met_a_fault_was_not_received(apple, control):
    put_weather(control, share={"503": 0.5})
    statuses = push_to_each(apple)
    assert control.get("/control/pushes").json()["count"] == statuses.count(200)


def test_each_kind_of_fault_has_each_providers_own_answer(
    apple, google, mozilla, browser, standins, client, control
):
    huawei = Huawei(client, standins.credentials)
    expo = Expo(client, standins.credentials)
    pushes = {
        "apns": apple.push,
        "fcm": google.push,
        "webpush": lambda: mozilla.push(browser),
        "hms": huawei.push,
        "expo": lambda: expo.push([expo.message()]),
    }
    for push in pushes.values():
        assert push().status_code in (200, 201)
    answers = {}
    for kind in ("429", "500", "503", "gone", "refused"):
        put_weather(control, share={kind: 1})
        answers[kind] = {name: push() for name, push in pushes.items()}
    status = {k: [answer.status_code for answer in a.values()] for k, a in answers.items()}
    assert status == {
        "429": [429, 429, 429, 503, 429],
        "500": [500, 500, 500, 200, 500],
        "503": [503, 503, 503, 503, 503],
        "gone": [410, 404, 410, 200, 200],
        "refused": [400, 403, 301, 200, 200],
    }
    assert answers["gone"]["apns"].json()["reason"] == "Unregistered"
    assert abs(answers["gone"]["apns"].json()["timestamp"] / 1000 - time.time()) < 60
    assert "UNREGISTERED" in answers["gone"]["fcm"].text
    assert answers["gone"]["webpush"].json()["errno"] == 106
    assert answers["gone"]["hms"].json()["code"] == "80300007"
    assert "DeviceNotRegistered" in answers["gone"]["expo"].text
    assert answers["refused"]["apns"].json()["reason"] == "BadDeviceToken"
    assert "SENDER_ID_MISMATCH" in answers["refused"]["fcm"].text
    assert "ProviderError" in answers["refused"]["expo"].text
    assert all(a.headers["retry-after"] == "1" for a in answers["429"].values())
    assert not any("retry-after" in a.headers for a in answers["503"].values())
    assert {EXPO_TOKEN, HMS_TOKEN} <= {
        item["address"] for item in control.get("/control/pushes").json()["items"]
    }


def test_a_script_ends_after_its_last_answer(apple, control):
    script = [
        {"status": 503, "count": 2},
        {"status": 429, "retry_after": 7, "body": {"reason": "TooManyRequests"}},
        {"status": 502, "body": "<html>bad gateway</html>"},
        {"status": 200},
        {"status": "gone"},
    ]
    put_weather(control, provider="apns", script=script)
    answers = [apple.push() for _ in range(8)]
    assert [a.status_code for a in answers] == [503, 503, 429, 502, 200, 410, 200, 200]
    assert answers[0].json() == {"reason": "ServiceUnavailable"}
    assert answers[2].headers["retry-after"] == "7"
    assert answers[3].text == "<html>bad gateway</html>"
    assert control.get("/control/pushes").json()["count"] == 3


def test_a_scripted_success_with_a_broken_body_is_an_acceptance(apple, google, control):
    put_weather(control, script=[{"status": 200, "body": "<html>", "count": 2}])
    assert apple.push().text == "<html>"
    assert google.push().text == "<html>"
    assert control.get("/control/pushes").json()["count"] == 2


def test_weather_for_one_address_spares_the_others(apple, google, control):
    put_weather(control, address=device(3), script=[{"status": 410, "count": 2}])
    assert [n for n, status in enumerate(push_to_each(apple, 6)) if status != 200] == [3]
    assert google.push().status_code == 200


def test_weather_for_one_provider_spares_the_others(apple, google, control):
    put_weather(control, provider="fcm", share={"503": 1})
    assert apple.push().status_code == 200
    assert google.push().status_code == 503


def test_the_most_specific_misbehaviour_comes_first():
    settings = settings_of(share={"503": 1})
    settings.put(read_misbehaviour({"provider": "apns", "script": [{"status": 429}]}))
    settings.put(read_misbehaviour({"provider": "apns", "address": "a", "share": {"gone": 1}}))
    assert settings.next_fault("apns", "a") == Fault(FaultKind.GONE)
    assert settings.next_fault("apns", "b") == Fault(None, 429)
    assert settings.next_fault("apns", "b") == Fault(FaultKind.UNAVAILABLE)
    assert settings.next_fault("fcm", "a") == Fault(FaultKind.UNAVAILABLE)


def test_new_weather_replaces_that_of_the_same_provider_and_address(apple, control):
    put_weather(control, provider="apns", share={"503": 1})
    put_weather(control, provider="apns", share={"429": 1})
    assert apple.push().status_code == 429


def test_cleared_weather_lets_the_stand_ins_behave(apple, control):
    put_weather(control, share={"503": 1})
    assert apple.push().status_code == 503
    assert control.delete("/control/weather").status_code == 204
    assert apple.push().status_code == 200


def test_answers_are_delayed_by_the_latency(apple, control):
    apple.push()
    put_weather(control, provider="apns", latency_ms=200)
    started_at = time.monotonic()
    assert apple.push().status_code == 200
    assert 0.2 <= time.monotonic() - started_at < 1


def test_a_request_that_hangs_gets_no_answer_and_is_not_accepted(apple, client, control):
    put_weather(control, share={"hang": 1})
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            apple.settings["APNS_URL"] + "/3/device/" + device(1),
            headers={
                "authorization": f"bearer {apple.mint()}",
                "apns-topic": apple.settings["APNS_TOPIC"],
                "apns-push-type": "alert",
            },
            content=b'{"aps":{"alert":"x"}}',
            timeout=0.5,
        )
    control.delete("/control/weather")
    assert apple.push().status_code == 200
    assert control.get("/control/pushes").json()["count"] == 1
    assert control.get("/control/stats").json()["answers"]["apns"] == {"200": 1, "hang": 1}


@pytest.mark.parametrize(
    "weather",
    [
        {"wind": 3},
        {"provider": "pigeon"},
        {"address": 12},
        {"share": {"404": 0.5}},
        {"share": {"429": 2}},
        {"share": {"429": "half"}},
        {"share": {"429": 0.6, "503": 0.6}},
        {"share": [0.5]},
        {"script": {"status": 503}},
        {"script": [{"status": 99}]},
        {"script": [{"status": "sunny"}]},
        {"script": [{"status": 503, "times": 3}]},
        {"script": [{"status": 503, "count": 0}]},
        {"script": [{"status": 503, "retry_after": "soon"}]},
        {"latency_ms": -1},
        {"latency_ms": True},
        {"goaway": 0},
        {"streams": "one"},
        {"seed": "x"},
        {"early_answers": 1},
        {"long_bodies": -1},
        {"late_window_updates": 2**31},
        {"send_buffer": "small"},
        {"receive_buffer": 0},
    ],
)
def test_invalid_weather_is_refused_and_changes_nothing(weather, apple, control):
    with pytest.raises(InvalidWeather):
        read_misbehaviour(weather)
    answer = control.put("/control/weather", json=weather)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_weather_can_be_for_one_endpoint(mozilla, control):
    body = {"provider": "webpush", "count": 2}
    items = control.post("/control/subscriptions", json=body).json()["items"]
    other, faulty = (Browser(**each) for each in items)
    put_weather(control, address=faulty.address, script=[{"status": 410}])
    assert mozilla.push(other).status_code == 201
    assert mozilla.push(faulty).status_code == 410
