"""What answers add up to: a table of thresholds, without a database."""

from datetime import timedelta

import pytest

from service.domain.effect import EndAlert, HoldProvider, LowerRate, PauseProvider, ThrottleProvider
from service.domain.evidence import (
    CREDENTIAL_PAUSE,
    DOUBTS_THAT_HOLD,
    PROVIDER_PAUSE,
    REFUSALS_THAT_END,
    Evidence,
    Finding,
    judge,
    judge_doubt,
    judge_missing_credential,
    judge_rate,
)
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Scope,
    SenderRejected,
    TryLater,
)

DOUBT = DeviceGone("BadDeviceToken", doubtful=True)
REFUSAL = DeviceRefused("unclear", doubtful=True)
THROTTLED = TryLater("429", after=timedelta(seconds=7), scope=Scope.PROVIDER)
OTHERS = [
    Accepted(),
    TryLater("503"),
    DeviceGone("410"),
    DeviceRefused("400"),
    AlertRejected("413"),
    SenderRejected("403"),
]


@pytest.mark.parametrize(
    ("doubts", "accepted", "on_record", "held"),
    [
        (DOUBTS_THAT_HOLD - 1, 0, False, False),
        (DOUBTS_THAT_HOLD, 0, False, True),
        (DOUBTS_THAT_HOLD + 500, 0, False, True),
        (DOUBTS_THAT_HOLD, 1, False, False),
        (DOUBTS_THAT_HOLD, 0, True, False),
    ],
)
def test_doubts_without_an_acceptance_hold_the_provider(doubts, accepted, on_record, held):
    evidence = Evidence(doubts=doubts, accepted=accepted, accepted_on_record=on_record)
    effect = judge(evidence, DOUBT, "apns")
    assert isinstance(effect, HoldProvider) is held
    if held:
        assert f"BadDeviceToken for {doubts} devices" in effect.why


@pytest.mark.parametrize(
    ("refusals", "accepted", "ended"),
    [
        (REFUSALS_THAT_END - 1, 0, False),
        (REFUSALS_THAT_END, 0, True),
        (REFUSALS_THAT_END, 1, False),
    ],
)
def test_refusals_without_an_acceptance_end_the_alert_on_the_provider(refusals, accepted, ended):
    effect = judge(Evidence(refusals=refusals, accepted=accepted), REFUSAL, "fcm")
    assert (effect == EndAlert("unclear")) is ended


@pytest.mark.parametrize("verdict", OTHERS)
def test_any_other_verdict_calls_for_nothing_however_many_doubts_there_are(verdict):
    assert judge(Evidence(doubts=1000, refusals=1000), verdict, "fcm") is None


def test_doubts_of_servers_that_nobody_named_are_not_counted():
    evidence = Evidence()
    for _ in range(1000):
        evidence.count(DOUBT, known_server=False)
    assert judge(evidence, DOUBT, "webpush") is None
    for _ in range(DOUBTS_THAT_HOLD):
        evidence.count(DOUBT, known_server=True)
    assert isinstance(judge(evidence, DOUBT, "webpush"), HoldProvider)


def test_doubts_that_were_cleared_are_counted_from_nothing():
    evidence = Evidence(doubts=DOUBTS_THAT_HOLD)
    evidence.clear_doubts()
    evidence.count(DOUBT, known_server=True)
    assert judge(evidence, DOUBT, "apns") is None


@pytest.mark.parametrize(
    ("throttled", "accepted", "effect"),
    [
        (0, 100, None),
        (1, 99, LowerRate(0.01)),
        (50, 50, LowerRate(0.5)),
        (51, 50, ThrottleProvider(timedelta(seconds=7))),
    ],
)
def test_the_rate_goes_down_by_the_share_that_was_refused(throttled, accepted, effect):
    evidence = Evidence()
    for _ in range(throttled):
        evidence.count(THROTTLED, known_server=True)
    for _ in range(accepted):
        evidence.count_acceptance("")
    assert judge_rate(evidence) == effect
    evidence.clear_rate()
    assert judge_rate(evidence) is None
    assert evidence.accepted == accepted


def test_a_provider_that_gives_no_time_is_left_alone_for_a_minute():
    evidence = Evidence()
    evidence.count(TryLater("429", scope=Scope.PROVIDER), known_server=True)
    assert judge_rate(evidence) == ThrottleProvider(PROVIDER_PAUSE)


@pytest.mark.parametrize(
    ("evidence", "origin", "held", "finding"),
    [
        (Evidence(accepted=1), "", False, Finding.BELIEVED),
        (Evidence(accepted_on_record=True), "", True, Finding.BELIEVED),
        (Evidence(accepted=1, origins={"https://one"}), "https://one", False, Finding.BELIEVED),
        (Evidence(accepted=1, origins={"https://one"}), "https://two", False, Finding.SUSPECT),
        (Evidence(), "", False, Finding.SUSPECT),
        (Evidence(), "", True, Finding.OUR_FAULT),
        (Evidence(), "https://one", True, Finding.OUR_FAULT),
    ],
)
def test_a_doubt_is_decided_by_who_accepted_what(evidence, origin, held, finding):
    assert judge_doubt(evidence, origin, held=held) is finding


@pytest.mark.parametrize(
    ("verdict", "effect"),
    [
        (TryLater("away", after=timedelta(seconds=3)), PauseProvider(timedelta(seconds=3))),
        (TryLater("away"), PauseProvider(CREDENTIAL_PAUSE)),
        (SenderRejected("no such key"), HoldProvider("no such key")),
    ],
)
def test_a_missing_credential_pauses_or_holds(verdict, effect):
    assert judge_missing_credential(verdict) == effect


@pytest.mark.parametrize("verdict", [Accepted(), DeviceGone("410"), AlertRejected("413"), REFUSAL])
def test_an_answer_that_makes_no_sense_for_a_credential_holds(verdict):
    effect = judge_missing_credential(verdict)
    assert isinstance(effect, HoldProvider)
    assert "newszop doctor" in effect.why
