"""Requests in Expo's form, their tickets, and the receipts that are asked for later."""

import json
from datetime import timedelta

import pytest

from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    FollowUp,
    SenderRejected,
    TryLater,
)
from tests.providers.examples import (
    NOW,
    a_target,
    alert_content,
    an_answer,
    headers_of,
    requests,
    run,
)
from workers.provider import GivesTickets
from workers.provider_kit import address_groups


def address(n: int) -> str:
    return f"ExponentPushToken[{n:022d}]"


def targets(count: int) -> list:
    return [a_target("expo", n, address=address(n)) for n in range(count)]


OK = {"status": "ok", "id": "t"}


def failed(error: str) -> dict:
    return {"status": "error", "message": "as told", "details": {"error": error}}


def test_one_address_that_is_no_token_is_doubtful_and_many_of_them_say_nothing_of_one(expo):
    text = '"[0].to" must be a valid Expo push token.'
    answer = an_answer(400, {"errors": [{"code": "VALIDATION_ERROR", "message": text}]})
    [verdict] = expo.read_answer(answer, (0,))
    assert isinstance(verdict, DeviceGone)
    assert verdict.doubtful
    assert {type(each) for each in expo.read_answer(answer, (0, 1))} == {DeviceRefused}


def test_a_hundred_devices_share_a_request_and_each_has_its_own_ids(expo):
    found = requests(expo, alert_content(), *targets(250))
    assert [len(request.positions) for request in found] == [100, 100, 50]
    messages = [message for request in found for message in json.loads(request.body)]
    assert [message["to"] for message in messages] == [address(n) for n in range(250)]
    assert [message["data"]["delivery_id"] for message in messages] == [
        target.delivery_id for target in targets(250)
    ]


def test_each_ticket_is_for_the_device_in_its_place(expo):
    body = {"data": [OK, failed("DeviceNotRegistered"), failed("MessageTooBig"), OK]}
    verdicts = expo.read_answer(an_answer(200, body), range(4))
    kinds = [type(verdict) for verdict in verdicts]
    assert kinds == [Accepted, DeviceGone, AlertRejected, Accepted]
    assert verdicts[0].follow_up == FollowUp("t", timedelta(minutes=15))


@pytest.mark.parametrize("body", [{"data": [OK]}, {"data": []}, {"data": {"status": "ok"}}, {}])
def test_a_device_without_a_ticket_may_have_been_pushed_to(expo, body):
    verdicts = expo.read_answer(an_answer(200, body), range(2))
    assert verdicts[-1] == TryLater("Expo's answer lacks a ticket for it", unknown=True)


def refuse(expo, request, error):
    return expo.read_answer(an_answer(400, {"errors": [error]}), request.positions)


def addresses_of(request):
    return [message["to"] for message in json.loads(request.body)]


def test_addresses_of_other_projects_cost_the_others_nothing_however_many_they_are(expo):
    [request] = requests(expo, alert_content(), *targets(90))
    us, them = [address(7)], [address(n) for n in range(90) if n != 7]
    groups = {"@them/app": them, "@us/app": us}
    error = {"code": "PUSH_TOO_MANY_EXPERIENCE_IDS", "message": "as told", "details": groups}
    verdicts = refuse(expo, request, error)
    assert {type(verdict) for verdict in verdicts} == {TryLater}
    again = requests(expo, alert_content(), *targets(90))
    assert sorted(map(addresses_of, again)) == sorted([us, them])
    known, unknown = requests(
        expo, alert_content(), a_target("expo", 7, address=address(7)), *targets(95)[90:]
    )
    assert (addresses_of(known), len(unknown.positions)) == (us, 5)


def test_an_address_that_is_no_token_costs_the_others_of_its_request_nothing(expo):
    [request] = requests(expo, alert_content(), *targets(4))
    text = '"[2].to" must be a valid Expo push token.'
    verdicts = refuse(expo, request, {"code": "VALIDATION_ERROR", "message": text})
    assert [type(verdict) for verdict in verdicts] == [TryLater, TryLater, DeviceGone, TryLater]
    verdicts = refuse(expo, request, {"message": "Something must be a valid Expo push token."})
    assert {type(verdict) for verdict in verdicts} == {TryLater}
    assert len(requests(expo, alert_content(), *targets(4))) == 4


def test_few_addresses_are_remembered_for_their_projects(expo, monkeypatch):
    monkeypatch.setattr(address_groups, "MOST_ADDRESSES", 2)
    groups = address_groups.AddressGroups()
    groups.learn("@them/app", [address(n) for n in range(3)])
    sizes = [len(group) for group in groups.split(targets(3), 100)]
    assert sizes == [1, 2]


def test_receipts_are_asked_for_up_to_a_thousand_at_once(expo):
    assert isinstance(expo, GivesTickets)
    request = expo.follow_ups(["a", "b"], run(expo.credential(NOW)))
    assert request.url == "https://exp.host/--/api/v2/push/getReceipts"
    assert json.loads(request.body) == {"ids": ["a", "b"]}
    assert expo.follow_ups_at_once == 1000


def test_each_receipt_has_its_verdict_and_those_to_come_are_asked_for_again(expo):
    receipts = {
        "a": {"status": "ok"},
        "b": failed("DeviceNotRegistered"),
        "c": failed("InvalidCredentials"),
    }
    verdicts = expo.read_follow_ups(an_answer(200, {"data": receipts}), ["b", "a", "later", "c"])
    assert [type(verdict) for verdict in verdicts] == [
        DeviceGone,
        Accepted,
        TryLater,
        SenderRejected,
    ]
    assert verdicts[2].after == timedelta(minutes=15)


def test_when_expo_is_away_the_receipts_are_asked_for_again(expo):
    verdicts = expo.read_follow_ups(an_answer(503, b"<html>"), ["a", "b"])
    assert [type(verdict) for verdict in verdicts] == [TryLater, TryLater]


def test_the_access_token_goes_along_where_there_is_one(expo):
    [request] = requests(expo, alert_content(), *targets(1))
    assert headers_of(request)["authorization"] == "Bearer a token that only tests know"
    open_project = type(expo)(type(expo.settings)(access_token=""))
    [request] = requests(open_project, alert_content(), *targets(1))
    assert "authorization" not in headers_of(request)


@pytest.mark.parametrize("good", [address(1), "ExpoPushToken[abc-_:.]"])
def test_an_expo_token_is_taken(expo, good):
    assert expo.check(Registration(provider="expo", address=good)).kind == "token"


@pytest.mark.parametrize(
    "bad", ["", "abc", "ExponentPushToken[]", 'ExponentPushToken["]', "x" + address(1)]
)
def test_anything_else_is_refused(expo, bad):
    with pytest.raises(Invalid):
        expo.check(Registration(provider="expo", address=bad))
