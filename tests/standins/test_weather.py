import time

import httpx
import pytest

from tests.standins.senders import EXPO_TOKEN, HMS_TOKEN, Browser, Expo, Huawei
from workers.standins.weather import Kind, Sky, Stroke, draw
from workers.standins.weather_request import BadWeather, read_front


def device(number: int) -> str:
    return f"{number:064x}"


def put(control, **weather) -> None:
    answer = control.put("/control/weather", json=weather)
    assert answer.status_code == 204, answer.text


def statuses(apple, count=40) -> list[int]:
    return [apple.push(device(number)).status_code for number in range(count)]


def sky_of(**weather) -> Sky:
    sky = Sky()
    sky.put(read_front(weather))
    return sky


def test_a_draw_depends_on_seed_address_and_number_alone():
    assert draw(1, "a", 1) == draw(1, "a", 1)
    assert len({draw(1, "a", 1), draw(2, "a", 1), draw(1, "b", 1), draw(1, "a", 2)}) == 4
    drawn = [draw(0, str(n), 1) for n in range(20_000)]
    assert 0 <= min(drawn) < 0.001
    assert 0.999 < max(drawn) < 1
    assert 0.49 < sum(drawn) / len(drawn) < 0.51


def test_the_same_weather_repeats_itself(apple, control):
    weather = {"share": {"429": 0.2, "503": 0.2, "gone": 0.2, "refused": 0.2}, "seed": 7}
    put(control, **weather)
    first = statuses(apple) + statuses(apple)
    put(control, **weather)
    assert statuses(apple) + statuses(apple) == first
    assert set(first) == {200, 400, 410, 429, 503}
    assert first[:40] != first[40:]
    put(control, **(weather | {"seed": 8}))
    assert statuses(apple) + statuses(apple) != first


def test_a_share_is_met_about_as_often_as_told():
    sky = sky_of(share={"429": 0.1, "gone": 0.03})
    drawn = [sky.stroke("apns", str(n)) for n in range(20_000)]
    kinds = [stroke.kind for stroke in drawn if stroke is not None]
    assert 1_900 < kinds.count(Kind.TOO_MANY) < 2_100
    assert 520 < kinds.count(Kind.GONE) < 680
    assert len(kinds) == kinds.count(Kind.TOO_MANY) + kinds.count(Kind.GONE)


def test_what_the_weather_took_away_was_not_received(apple, control):
    put(control, share={"503": 0.5})
    answered = statuses(apple)
    assert control.get("/control/pushes").json()["count"] == answered.count(200)


def test_each_kind_is_told_in_each_providers_words(
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
    seen = {}
    for kind in ("429", "500", "503", "gone", "refused"):
        put(control, share={kind: 1})
        seen[kind] = {name: push() for name, push in pushes.items()}
    status = {k: [answer.status_code for answer in a.values()] for k, a in seen.items()}
    assert status == {
        "429": [429, 429, 429, 503, 429],
        "500": [500, 500, 500, 200, 500],
        "503": [503, 503, 503, 503, 503],
        "gone": [410, 404, 410, 200, 200],
        "refused": [400, 403, 301, 200, 200],
    }
    assert seen["gone"]["apns"].json()["reason"] == "Unregistered"
    assert abs(seen["gone"]["apns"].json()["timestamp"] / 1000 - time.time()) < 60
    assert "UNREGISTERED" in seen["gone"]["fcm"].text
    assert seen["gone"]["webpush"].json()["errno"] == 106
    assert seen["gone"]["hms"].json()["code"] == "80300007"
    assert "DeviceNotRegistered" in seen["gone"]["expo"].text
    assert seen["refused"]["apns"].json()["reason"] == "BadDeviceToken"
    assert "SENDER_ID_MISMATCH" in seen["refused"]["fcm"].text
    assert "ProviderError" in seen["refused"]["expo"].text
    assert all(a.headers["retry-after"] == "1" for a in seen["429"].values())
    assert not any("retry-after" in a.headers for a in seen["503"].values())
    assert {EXPO_TOKEN, HMS_TOKEN} <= {
        item["address"] for item in control.get("/control/pushes").json()["items"]
    }


def test_a_script_is_played_and_then_over(apple, control):
    script = [
        {"status": 503, "count": 2},
        {"status": 429, "retry_after": 7, "body": {"reason": "TooManyRequests"}},
        {"status": 502, "body": "<html>bad gateway</html>"},
        {"status": 200},
        {"status": "gone"},
    ]
    put(control, provider="apns", script=script)
    answers = [apple.push() for _ in range(8)]
    assert [a.status_code for a in answers] == [503, 503, 429, 502, 200, 410, 200, 200]
    assert answers[0].json() == {"reason": "ServiceUnavailable"}
    assert answers[2].headers["retry-after"] == "7"
    assert answers[3].text == "<html>bad gateway</html>"
    assert control.get("/control/pushes").json()["count"] == 3


def test_a_yes_with_a_broken_body_is_a_yes(apple, google, control):
    put(control, script=[{"status": 200, "body": "<html>", "count": 2}])
    assert apple.push().text == "<html>"
    assert google.push().text == "<html>"
    assert control.get("/control/pushes").json()["count"] == 2


def test_weather_over_one_address_leaves_the_others_alone(apple, google, control):
    put(control, address=device(3), script=[{"status": 410, "count": 2}])
    assert [n for n, status in enumerate(statuses(apple, 6)) if status != 200] == [3]
    assert google.push().status_code == 200


def test_weather_over_one_provider_leaves_the_others_alone(apple, google, control):
    put(control, provider="fcm", share={"503": 1})
    assert apple.push().status_code == 200
    assert google.push().status_code == 503


def test_the_most_specific_front_is_met_first():
    sky = sky_of(share={"503": 1})
    sky.put(read_front({"provider": "apns", "script": [{"status": 429}]}))
    sky.put(read_front({"provider": "apns", "address": "a", "share": {"gone": 1}}))
    assert sky.stroke("apns", "a") == Stroke(Kind.GONE)
    assert sky.stroke("apns", "b") == Stroke(None, 429)
    assert sky.stroke("apns", "b") == Stroke(Kind.AWAY)
    assert sky.stroke("fcm", "a") == Stroke(Kind.AWAY)


def test_a_front_takes_the_place_of_one_with_the_same_bounds(apple, control):
    put(control, provider="apns", share={"503": 1})
    put(control, provider="apns", share={"429": 1})
    assert apple.push().status_code == 429


def test_a_clear_sky_answers_everything(apple, control):
    put(control, share={"503": 1})
    assert apple.push().status_code == 503
    assert control.delete("/control/weather").status_code == 204
    assert apple.push().status_code == 200


def test_answers_are_as_late_as_told(apple, control):
    apple.push()
    put(control, provider="apns", latency_ms=200)
    began = time.monotonic()
    assert apple.push().status_code == 200
    assert 0.2 <= time.monotonic() - began < 1


def test_a_request_that_hangs_gets_no_answer_and_is_not_taken(apple, client, control):
    put(control, share={"hang": 1})
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
    ],
)
def test_what_is_not_weather_is_refused_and_changes_nothing(weather, apple, control):
    with pytest.raises(BadWeather):
        read_front(weather)
    answer = control.put("/control/weather", json=weather)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_weather_can_be_over_one_endpoint(mozilla, control):
    asked = {"provider": "webpush", "count": 2}
    made = control.post("/control/subscriptions", json=asked).json()["items"]
    spared, hit = (Browser(**each) for each in made)
    put(control, address=hit.address, script=[{"status": 410}])
    assert mozilla.push(spared).status_code == 201
    assert mozilla.push(hit).status_code == 410
