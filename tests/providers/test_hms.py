"""Requests in Huawei's form: a thousand devices in each, told apart by their addresses."""

import json
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from service.domain.alert import Words
from service.domain.subscription import Urgency
from service.domain.verdict import Accepted, DeviceGone
from tests.providers.examples import (
    NOW,
    a_target,
    alert_content,
    an_answer,
    headers_of,
    requests,
    run,
    the_request,
)
from workers.provider import CarriesNoReceipts


def targets(count: int, **given) -> list:
    return [a_target("hms", n, address=f"IQAAAACy{n:040d}", **given) for n in range(count)]


def partial(*illegal: str, success: int = 1) -> object:
    told = {"success": success, "failure": len(illegal), "illegal_tokens": illegal}
    return {"code": "80100000", "msg": json.dumps(told), "requestId": "1"}


def test_a_thousand_devices_share_a_request(hms):
    found = requests(hms, alert_content(), *targets(2500))
    assert [len(request.positions) for request in found] == [1000, 1000, 500]
    assert [p for request in found for p in request.positions] == list(range(2500))
    tokens = [token for request in found for token in json.loads(request.body)["message"]["token"]]
    assert tokens == [target.address for target in targets(2500)]


def test_devices_of_different_languages_do_not_share_a_request(hms):
    message = alert_content(words={"": Words("Rain", ""), "hi": Words("बारिश", "")})
    mixed = [a_target("hms", n, locale="hi" if n % 2 else "") for n in range(10)]
    found = requests(hms, message, *mixed)
    assert [tuple(request.positions) for request in found] == [(0, 2, 4, 6, 8), (1, 3, 5, 7, 9)]


def test_only_the_illegal_addresses_are_gone(hms):
    [request] = requests(hms, alert_content(), *targets(5))
    gone = [targets(5)[1].address, targets(5)[4].address]
    verdicts = hms.read_answer(an_answer(200, partial(*gone, success=3)), request.positions)
    assert [isinstance(verdict, DeviceGone) for verdict in verdicts] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert not any(verdict.doubtful for verdict in verdicts if isinstance(verdict, DeviceGone))


def test_when_all_are_called_illegal_that_is_doubtful(hms):
    [request] = requests(hms, alert_content(), *targets(3))
    every = [target.address for target in targets(3)]
    for body in (
        partial(*every, success=0),
        {"code": "80300007", "msg": "All the tokens are invalid"},
    ):
        verdicts = hms.read_answer(an_answer(200, body), request.positions)
        assert [verdict.doubtful for verdict in verdicts] == [True] * 3


def test_when_half_of_a_request_is_called_illegal_that_is_doubtful(hms):
    [request] = requests(hms, alert_content(), *targets(4))
    half = [target.address for target in targets(4)[:2]]
    verdicts = hms.read_answer(an_answer(200, partial(*half, success=2)), request.positions)
    assert [verdict.doubtful for verdict in verdicts[:2]] == [True, True]
    assert verdicts[2:] == [Accepted()] * 2


def test_a_partial_success_that_is_cut_off_alerts_nobody_twice(hms):
    [request] = requests(hms, alert_content(), *targets(3))
    answer = an_answer(200, partial(targets(3)[0].address))
    answer.body = answer.body[:-30]
    assert list(hms.read_answer(answer, request.positions)) == [Accepted()] * 3


def test_the_longest_list_of_illegal_addresses_is_kept_whole(hms):
    [request] = requests(hms, alert_content(), *targets(1000))
    every = partial(*(target.address for target in targets(1000)))
    assert len(json.dumps(every, indent=1)) < request.answer_limit


def test_the_app_is_in_the_address_and_the_token_in_the_header(hms):
    request = the_request(hms, alert_content(), a_target("hms"))
    assert request.url == "https://push-api.cloud.huawei.com/v1/100000001/messages:send"
    assert headers_of(request)["authorization"] == "Bearer ya29.token"


@pytest.mark.parametrize(
    ("urgency", "word", "importance"),
    [
        (Urgency.BREAKING, "HIGH", "NORMAL"),
        (Urgency.NORMAL, "NORMAL", "NORMAL"),
        (Urgency.QUIET, "NORMAL", "LOW"),
    ],
)
def test_urgency_becomes_huaweis(hms, urgency, word, importance):
    request = the_request(hms, alert_content(urgency=urgency), a_target("hms"))
    android = json.loads(request.body)["message"]["android"]
    assert android["urgency"] == word
    assert android["notification"]["importance"] == importance
    assert android["notification"]["tag"] == "story-9223372036854775807"


def test_the_time_to_live_is_what_huawei_takes(hms):
    for left, told in ((timedelta(days=20), "1296000s"), (timedelta(seconds=-5), "1s")):
        request = the_request(hms, alert_content(expires_at=NOW + left), a_target("hms"))
        assert json.loads(request.body)["message"]["android"]["ttl"] == told


def test_a_tap_opens_the_story_where_huawei_can(hms):
    def click(url):
        request = the_request(hms, alert_content(url=url), a_target("hms"))
        return json.loads(request.body)["message"]["android"]["notification"]["click_action"]

    assert click("https://news.example/s") == {"type": 2, "url": "https://news.example/s"}
    assert click("http://127.0.0.1:8000/s") == {"type": 3}


def test_the_access_token_is_asked_for_with_id_and_secret(hms):
    request = next(hms.credential(NOW))
    assert request.url == "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["100000001"],
        "client_secret": ["a secret that only tests know"],
    }


def test_the_secret_does_not_show_in_the_credentials_name(hms):
    assert "secret" not in hms.credential_key()


def test_the_probe_is_only_validated(hms):
    granted = an_answer(200, {"access_token": "t", "expires_in": 3600})
    probe = json.loads(hms.probe(run(hms.credential(NOW), granted), NOW).body)
    assert probe["validate_only"] is True


def test_of_all_providers_only_huaweis_pushes_carry_no_receipts(provider_named):
    names = ("apns", "fcm", "webpush", "hms", "expo")
    without = [name for name in names if isinstance(provider_named(name), CarriesNoReceipts)]
    assert without == ["hms"]
