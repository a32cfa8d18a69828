"""Requests in Google's form, and the token they are sent with."""

import json
import re
from datetime import timedelta
from urllib.parse import parse_qs

import jwt
import pytest

from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from service.domain.verdict import SenderRejected, TryLater
from tests.credentials import PROJECT, a_service_account, an_rsa_key
from tests.providers.examples import (
    NOW,
    a_target,
    alert_content,
    an_answer,
    headers_of,
    run,
    the_request,
)
from workers.provider import Answer, CredentialRefused, Failure
from workers.providers import fcm as module

RESERVED = re.compile(r"from|message_type|google.*|gcm.*")


def sent(provider, target=None, **given):
    request = the_request(provider, alert_content(**given), target or a_target("fcm"))
    return json.loads(request.body)["message"]


def test_a_push_goes_to_the_project_of_the_service_account(fcm):
    request = the_request(fcm, alert_content(), a_target("fcm"))
    assert request.url == f"https://fcm.googleapis.com/v1/projects/{PROJECT}/messages:send"
    assert headers_of(request) == {
        "authorization": "Bearer ya29.token",
        "content-type": "application/json",
    }


@pytest.mark.parametrize(("kind", "other"), [("token", "fid"), ("fid", "token")])
def test_a_push_has_exactly_one_target_of_the_devices_kind(fcm, kind, other):
    message = sent(fcm, a_target("fcm", kind=kind, address="cXJzdHV2d3h5eoGCg4SFhg"))
    assert message[kind] == "cXJzdHV2d3h5eoGCg4SFhg"
    assert other not in message


@pytest.mark.parametrize(
    ("urgency", "priority", "level"),
    [
        (Urgency.BREAKING, "HIGH", "time-sensitive"),
        (Urgency.NORMAL, "HIGH", "active"),
        (Urgency.QUIET, "NORMAL", "passive"),
    ],
)
def test_urgency_becomes_priority_and_channel(fcm, urgency, priority, level):
    message = sent(fcm, urgency=urgency)
    assert message["android"]["priority"] == priority
    assert message["android"]["notification"]["channel_id"] == urgency.value
    assert message["apns"]["payload"]["aps"]["interruption-level"] == level


def test_a_withdrawal_makes_no_sound(fcm):
    message = sent(fcm, urgency=Urgency.BREAKING, silent=True)
    assert message["android"]["priority"] == "NORMAL"
    assert message["android"]["notification"]["channel_id"] == "quiet"
    assert "sound" not in message["apns"]["payload"]["aps"]


def test_the_collapse_key_replaces_on_every_platform(fcm):
    message = sent(fcm)
    key = "story-9223372036854775807"
    assert message["android"]["collapse_key"] == key
    assert message["android"]["notification"]["tag"] == key
    assert message["apns"]["headers"]["apns-collapse-id"] == key


def test_data_holds_strings_under_names_that_google_does_not_reserve(fcm):
    for name, value in sent(fcm)["data"].items():
        assert isinstance(value, str)
        assert not RESERVED.fullmatch(name)


def test_the_time_to_live_is_never_below_zero_nor_over_four_weeks(fcm):
    assert sent(fcm, expires_at=NOW - timedelta(hours=1))["android"]["ttl"] == "0s"
    assert sent(fcm, expires_at=NOW + timedelta(days=60))["android"]["ttl"] == "2419200s"


def test_the_access_token_is_asked_for_as_google_says(fcm):
    minting = fcm.credential(NOW)
    request = next(minting)
    assert request.url == "https://oauth2.example/token"
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(
        form["assertion"][0],
        an_rsa_key().public_key(),
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["iat"] <= NOW.timestamp()


def test_the_access_token_is_renewed_five_minutes_early(fcm):
    found = run(fcm.credential(NOW), an_answer(200, {"access_token": "t", "expires_in": 3600}))
    assert found.value == "t"
    assert found.fresh_until == NOW + timedelta(minutes=55)


@pytest.mark.parametrize("expires", [None, "soon", -1, 10**12, True, 1.5])
def test_a_token_of_an_odd_life_is_still_renewed(fcm, expires):
    answer = an_answer(200, {"access_token": "t", "expires_in": expires})
    found = run(fcm.credential(NOW), answer)
    assert NOW < found.fresh_until <= NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (an_answer(400, {"error": "invalid_grant"}), SenderRejected),
        (an_answer(401, {"error": "invalid_client"}), SenderRejected),
        (an_answer(404, b"<html>"), SenderRejected),
        (an_answer(200, b"<html>"), SenderRejected),
        (an_answer(200, {"access_token": "a\r\nx: y"}), SenderRejected),
        (an_answer(500, b"<html>"), TryLater),
        (an_answer(503, retry_after="5"), TryLater),
        (Answer(0, failure=Failure.NOT_SENT, detail="refused"), TryLater),
        (Answer(0, failure=Failure.UNKNOWN, detail="reset"), TryLater),
    ],
)
def test_without_an_access_token_we_wait_or_a_person_is_told(fcm, answer, verdict):
    with pytest.raises(CredentialRefused) as refused:
        run(fcm.credential(NOW), answer)
    assert isinstance(refused.value.verdict, verdict)
    if verdict is SenderRejected:
        assert "FCM_CREDENTIALS_FILE" in refused.value.verdict.why


def test_a_changed_service_account_is_picked_up(tmp_path):
    file = tmp_path / "account.json"
    file.write_text(json.dumps(a_service_account()))
    provider = module.Provider(module.Settings(credentials_file=file))
    name = provider.credential_key()
    file.write_text(json.dumps(a_service_account(project_id="another-project")))
    assert provider.credential_key() != name
    request = the_request(provider, alert_content(), a_target("fcm"))
    assert "/projects/another-project/" in request.url


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("cXJzdHV2d3h5eoGCg4SFhg", "fid"),
        ("dGhpcyBpcyBhbiBpbnN0:APA91b" + "x" * 120, "token"),
        ("APA91b" + "x" * 146, "token"),
    ],
)
def test_an_address_is_known_as_installation_id_or_token(fcm, address, kind):
    checked = fcm.check(Registration(provider="fcm", address=f" {address} "))
    assert (checked.address, checked.kind) == (address, kind)


@pytest.mark.parametrize("address", ["", "short", 'x:"' + "y" * 50, "a b" * 20, "x:" + "y" * 2000])
def test_what_is_neither_is_refused(fcm, address):
    with pytest.raises(Invalid) as refused:
        fcm.check(Registration(provider="fcm", address=address))
    assert refused.value.field == "address"


def test_the_probe_is_only_validated(fcm):
    probe = json.loads(fcm.probe(run(fcm.credential(NOW), GRANTED), NOW).body)
    assert probe["validate_only"] is True


GRANTED = an_answer(200, {"access_token": "t", "expires_in": 3600})


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>Sign in to this network</html>"])
def test_a_success_that_names_no_message_may_have_come_from_something_in_between(fcm, body):
    (verdict,) = fcm.read_answer(Answer(200, body=body), (0,))
    assert isinstance(verdict, TryLater)
    assert verdict.unknown
