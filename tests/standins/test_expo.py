import gzip
import json
import uuid

import pytest

from tests.standins.senders import DATA, EXPO_TOKEN, WORDS, Expo


@pytest.fixture
def expo(standins, client, control):
    return Expo(client, standins.credentials)


def tokens(count: int) -> list[str]:
    return [f"ExponentPushToken[{n:022}]" for n in range(count)]


def error(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def test_a_message_gets_a_ticket_and_its_ticket_a_receipt(expo, control):
    answer = expo.push([expo.message()])
    [ticket] = answer.json()["data"]
    assert ticket["status"] == "ok"
    receipts = expo.receipts([ticket["id"], str(uuid.uuid4()), "nonsense"]).json()["data"]
    assert receipts == {ticket["id"]: {"status": "ok"}}
    [item] = control.get("/control/pushes").json()["items"]
    assert (item["address"], item["title"], item["body"]) == (
        EXPO_TOKEN,
        WORDS["title"],
        WORDS["body"],
    )
    assert item["collapse_key"] == "story-12"
    assert {name: item[name] for name in DATA} == DATA


def test_a_single_message_gets_a_single_ticket(expo):
    assert expo.push(expo.message()).json()["data"]["status"] == "ok"


def test_a_compressed_request_is_read(expo):
    body = gzip.compress(json.dumps([expo.message()]).encode())
    assert expo.push(body, content_encoding="gzip").status_code == 200


def test_tickets_come_in_the_order_of_the_messages(expo, control):
    control.put("/control/weather", json={"provider": "expo", "share": {"gone": 0.5}})
    messages = [expo.message(to=to) for to in tokens(100)]
    tickets = expo.push(messages).json()["data"]
    refused = {t["details"]["expoPushToken"] for t in tickets if t["status"] == "error"}
    assert 30 < len(refused) < 70
    for message, ticket in zip(messages, tickets, strict=True):
        assert (message["to"] in refused) == (ticket["status"] == "error")
    items = control.get("/control/pushes").json()["items"]
    assert {item["address"] for item in items} == set(tokens(100)) - refused


def test_a_device_can_be_gone_by_its_receipt_only(expo, control):
    control.put("/control/weather", json={"provider": "expo", "share": {"gone_later": 1}})
    [ticket] = expo.push([expo.message()]).json()["data"]
    assert ticket["status"] == "ok"
    receipt = expo.receipts([ticket["id"]]).json()["data"][ticket["id"]]
    assert receipt["details"]["error"] == "DeviceNotRegistered"
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_message_too_big_fails_in_its_ticket(expo):
    tickets = expo.push([expo.message(), expo.message(body="x" * 4096)]).json()["data"]
    assert tickets[0]["status"] == "ok"
    assert tickets[1]["details"]["error"] == "MessageTooBig"


@pytest.mark.parametrize(
    "change",
    [
        {"to": "abc"},
        {"to": "ExponentPushToken[]"},
        {"to": None},
        {"data": "text"},
        {"priority": "urgent"},
        {"ttl": "60"},
        {"surprise": 1},
    ],
)
def test_what_expo_forbids_fails_the_whole_request(expo, control, change):
    answer = expo.push([expo.message(), expo.message(**change)])
    assert error(answer) == (400, "VALIDATION_ERROR")
    assert control.get("/control/pushes").json()["count"] == 0


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"[1]", b"[{}]"])
def test_a_request_must_hold_messages(expo, body):
    assert error(expo.push(body)) == (400, "VALIDATION_ERROR")


def test_a_hundred_messages_fit_one_request_and_no_more(expo):
    assert len(expo.push([expo.message(to=to) for to in tokens(100)]).json()["data"]) == 100
    answer = expo.push([expo.message(to=to) for to in tokens(101)])
    assert error(answer) == (400, "PUSH_TOO_MANY_NOTIFICATIONS")


def test_a_thousand_receipts_are_the_most(expo):
    assert expo.receipts(["x"] * 1000).status_code == 200
    assert error(expo.receipts(["x"] * 1001)) == (400, "PUSH_TOO_MANY_RECEIPTS")
    assert error(expo.receipts("x")) == (400, "VALIDATION_ERROR")


def test_the_access_token_is_required(expo):
    assert error(expo.push([], authorization="Bearer x")) == (401, "UNAUTHORIZED")
    assert error(expo.push([], authorization="")) == (401, "UNAUTHORIZED")
