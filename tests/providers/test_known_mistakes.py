"""What other servers were seen to make of a provider's answer; the README's table leads here."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from service.domain.verdict import (
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
)
from service.settings import Settings
from tests.providers.examples import an_answer
from workers import provider as providers
from workers.provider_kit.endpoints import KNOWN_PUSH_SERVICES
from workers.providers import webpush as browsers

SENDING = sorted(set(providers.provider_names()) - {"console"})
AWAY = [500, 502, 503, 504]
DEATHS_SAID_BY_STATUS = {"webpush": {404, 410}, "apns": {410}}
TELLTALE = "<html>UNREGISTERED Unregistered BadDeviceToken DeviceNotRegistered 80300007 Gone</html>"


def dead_for_sure(verdict):
    return isinstance(verdict, DeviceGone) and not verdict.doubtful


def of_google(status, code, **details):
    """An answer of FCM with this error and, given them, its details."""
    listed = [{"@type": f"type.googleapis.com/{name}"} | given for name, given in details.items()]
    error = {"code": status, "status": code, "message": "as told", "details": listed}
    return an_answer(status, {"error": error})


@pytest.mark.parametrize("name", SENDING)
def test_trouble_at_the_providers_end_removes_no_device(provider_named, name):
    for status in (*AWAY, 429):
        [verdict] = provider_named(name).read_answer(an_answer(status), (0,))
        assert isinstance(verdict, TryLater), status


@pytest.mark.parametrize("name", SENDING)
def test_no_status_but_the_documented_ones_removes_a_device(provider_named, name):
    for status in set(range(100, 600)) - DEATHS_SAID_BY_STATUS.get(name, set()):
        [verdict] = provider_named(name).read_answer(an_answer(status), (0,))
        assert not dead_for_sure(verdict), status


@pytest.mark.parametrize("name", SENDING)
def test_words_somewhere_in_a_page_remove_no_device(provider_named, name):
    for status in (200, 400, 403, *AWAY):
        for body in (TELLTALE, {"message": TELLTALE}):
            [verdict] = provider_named(name).read_answer(an_answer(status, body), (0,))
            assert not dead_for_sure(verdict), (status, body)


def test_our_malformed_payload_removes_no_device(fcm):
    ours = {"google.rpc.BadRequest": {"fieldViolations": [{"field": "message.notification"}]}}
    code = {"google.firebase.fcm.v1.FcmError": {"errorCode": "INVALID_ARGUMENT"}}
    [verdict] = fcm.read_answer(of_google(400, "INVALID_ARGUMENT", **ours), (0,))
    assert isinstance(verdict, AlertRejected)
    for unclear in (code, code | ours):
        [verdict] = fcm.read_answer(of_google(400, "INVALID_ARGUMENT", **unclear), (0,))
        assert isinstance(verdict, DeviceRefused)


def test_our_lost_permission_removes_no_device_and_holds_the_provider(fcm):
    [verdict] = fcm.read_answer(of_google(403, "PERMISSION_DENIED"), (0,))
    assert isinstance(verdict, SenderRejected)


def test_an_expired_access_token_is_renewed_and_buries_nothing(fcm):
    [verdict] = fcm.read_answer(of_google(401, "UNAUTHENTICATED"), (0,))
    assert isinstance(verdict, SenderRejected)
    assert verdict.remint


def test_a_topic_that_may_be_our_mistake_is_held_against_no_device(apns):
    [disallowed] = apns.read_answer(an_answer(400, {"reason": "TopicDisallowed"}), (0,))
    assert isinstance(disallowed, SenderRejected)
    [other_topic] = apns.read_answer(an_answer(400, {"reason": "DeviceTokenNotForTopic"}), (0,))
    assert not dead_for_sure(other_topic)


def test_a_token_that_ran_out_is_as_dead_as_one_that_was_removed(apns):
    for reason in ("Unregistered", "ExpiredToken"):
        answer = an_answer(410, {"reason": reason, "timestamp": 1_767_225_600_000})
        [verdict] = apns.read_answer(answer, (0,))
        assert dead_for_sure(verdict)
        assert verdict.since is not None


@pytest.mark.parametrize("name", SENDING)
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_the_provider_asks_for_is_kept(provider_named, name, status):
    answer = an_answer(status, **{"retry-after": "77"})
    [verdict] = provider_named(name).read_answer(answer, (0,))
    assert isinstance(verdict, TryLater)
    assert verdict.after == timedelta(seconds=77)


def test_push_services_are_a_closed_list_unless_somebody_opens_it():
    closed = browsers.Settings.model_fields["allowed_hosts"].default
    assert closed == KNOWN_PUSH_SERVICES
    assert not {"*", "*.*"} & set(closed)


def test_a_provider_has_seconds_to_answer_and_no_setting_makes_it_hours():
    known = {"database_url": "postgresql://x", "redis_url": "redis://x"}
    usual = Settings(_env_file=None, secret_key="sixteen letters!", **known)
    assert 2 <= usual.request_timeout_s <= 30
    with pytest.raises(ValidationError, match=r"(?i)request_timeout_s"):
        Settings(_env_file=None, secret_key="sixteen letters!", request_timeout_s=10_000, **known)
