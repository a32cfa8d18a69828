"""What answers add up to: a table of thresholds, without a database."""

from datetime import timedelta

import pytest

from service.domain.device import NOTHING_AGAINST_IT, History
from service.domain.effect import (
    EndAlert,
    EndAlertAtOrigin,
    HoldOrigin,
    HoldProvider,
    LowerRate,
    PauseProvider,
    ThrottleProvider,
)
from service.domain.evidence import (
    CREDENTIAL_PAUSE,
    DOUBTS_THAT_HOLD,
    ORIGIN_HOLD,
    PROVIDER_PAUSE,
    REFUSALS_THAT_END,
    Evidence,
    Finding,
    judge,
    judge_doubt,
    judge_missing_credential,
    judge_rate,
    judge_refusal,
)
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    Reach,
    SenderRejected,
    TryLater,
)

DOUBT = DeviceGone("BadDeviceToken", doubtful=True)
REFUSAL = DeviceRefused("unclear", doubtful=True)
THROTTLED = TryLater("429", after=timedelta(seconds=7), reach=Reach.PROVIDER)
FOR_SOME = SenderRejected("no key for iPhones", reach=Reach.DEVICE)
OTHERS = [
    Accepted(),
    TryLater("503"),
    DeviceGone("410"),
    DeviceRefused("400"),
    AlertRejected("413"),
    SenderRejected("403"),
]
ONE, TWO = "https://one.example", "https://two.example"


def evidence_of(*, accepted=0, doubts=0, origin="", uses_origins=False, **options):
    evidence = Evidence(uses_origins=uses_origins)
    return add(evidence, accepted=accepted, doubts=doubts, origin=origin, **options)


def add(evidence, *, accepted=0, doubts=0, origin="", **options):
    for _ in range(accepted):
        evidence.count_acceptance(origin)
    for _ in range(doubts):
        evidence.count(DOUBT, origin, **options)
    return evidence


@pytest.mark.parametrize(
    ("doubts", "accepted", "held"),
    [
        (DOUBTS_THAT_HOLD - 1, 0, False),
        (DOUBTS_THAT_HOLD, 0, True),
        (60, 1, True),
        (500, 499, True),
        (20, 379, True),
        (20, 380, False),
        (500, 9500, False),
        (501, 9499, True),
    ],
)
def test_doubts_hold_the_provider_unless_they_are_a_small_minority(doubts, accepted, held):
    effect = judge(evidence_of(accepted=accepted, doubts=doubts), DOUBT, "", "apns")
    assert isinstance(effect, HoldProvider) is held


@pytest.mark.parametrize(
    ("accepted", "words"), [(0, "accepted none"), (1, "accepted 1:"), (7, "accepted 7:")]
)
def test_the_sentence_of_a_hold_is_true_at_that_moment(accepted, words):
    effect = judge(evidence_of(accepted=accepted, doubts=60), DOUBT, "", "apns")
    assert f"BadDeviceToken for 60 of {60 + accepted} devices and {words}" in effect.why


def test_doubts_of_addresses_that_were_never_accepted_hold_nobody():
    evidence = evidence_of(doubts=1000, counts=False)
    assert judge(evidence, DOUBT, "", "apns") is None


@pytest.mark.parametrize("verdict", [DOUBT, REFUSAL, FOR_SOME])
def test_addresses_that_were_never_accepted_hide_no_mistake_of_ours(verdict):
    evidence = evidence_of(accepted=60)
    for _ in range(10_000):
        evidence.count(verdict, "", counts=False)
    add(evidence, doubts=40)
    assert isinstance(judge(evidence, DOUBT, "", "apns"), HoldProvider)
    assert judge_doubt(evidence.of(""), NOTHING_AGAINST_IT, held=False) is Finding.OUR_FAULT


@pytest.mark.parametrize("verdict", [REFUSAL, FOR_SOME])
def test_refusals_of_addresses_that_were_never_accepted_call_for_nothing(verdict):
    evidence = Evidence()
    for _ in range(1_000):
        evidence.count(verdict, "", counts=False)
    assert judge(evidence, verdict, "", "expo") is None


def test_a_doubt_in_answer_to_a_probe_holds_again_at_once():
    evidence = evidence_of(doubts=1)
    assert judge(evidence, DOUBT, "", "apns") is None
    assert isinstance(judge(evidence, DOUBT, "", "apns", probing=True), HoldProvider)


def test_one_push_service_among_many_speaks_for_itself_alone():
    evidence = evidence_of(accepted=50, origin=ONE, uses_origins=True)
    add(evidence, doubts=60, origin=TWO)
    effect = judge(evidence, DOUBT, TWO, "webpush")
    assert (type(effect), effect.origin, effect.duration) == (HoldOrigin, TWO, ORIGIN_HOLD)


def test_push_services_that_accept_nothing_anywhere_hold_the_provider():
    evidence = evidence_of(doubts=60, origin=ONE, uses_origins=True)
    assert isinstance(judge(evidence, DOUBT, ONE, "webpush"), HoldProvider)


def test_a_server_that_nobody_named_is_left_alone_and_holds_nobody_else():
    evidence = evidence_of(doubts=1000, origin=ONE, uses_origins=True, known=False)
    assert judge(evidence, DOUBT, ONE, "webpush").origin == ONE


@pytest.mark.parametrize(
    ("refusals", "accepted", "ended"),
    [
        (REFUSALS_THAT_END - 1, 0, False),
        (REFUSALS_THAT_END, 0, True),
        (REFUSALS_THAT_END, 1, False),
    ],
)
def test_refusals_without_an_acceptance_end_the_alert(refusals, accepted, ended):
    for uses_origins, origin, end in [
        (False, "", EndAlert("unclear")),
        (True, ONE, EndAlertAtOrigin("unclear", ONE)),
    ]:
        evidence = evidence_of(accepted=accepted, origin=origin, uses_origins=uses_origins)
        add(evidence, accepted=500, origin=TWO) if uses_origins else None
        for _ in range(refusals):
            evidence.count(REFUSAL, origin)
        assert (judge(evidence, REFUSAL, origin, "fcm") == end) is ended


@pytest.mark.parametrize(
    ("faults", "accepted", "held"), [(20, 0, True), (19, 0, False), (20, 20, False)]
)
def test_a_fault_of_ours_that_reaches_some_devices_holds_when_it_reaches_most(
    faults, accepted, held
):
    evidence = evidence_of(accepted=accepted)
    for _ in range(faults):
        evidence.count(FOR_SOME, "")
    assert (judge(evidence, FOR_SOME, "", "expo") == HoldProvider(FOR_SOME.why)) is held


@pytest.mark.parametrize("verdict", OTHERS)
def test_any_other_verdict_calls_for_nothing_however_many_doubts_there_are(verdict):
    evidence = evidence_of(doubts=1000)
    for _ in range(1000):
        evidence.count(REFUSAL, "")
    assert judge(evidence, verdict, "", "fcm") is None


def test_doubts_that_were_cleared_are_counted_from_nothing():
    evidence = evidence_of(doubts=DOUBTS_THAT_HOLD)
    evidence.clear_doubts()
    assert judge(add(evidence, doubts=1), DOUBT, "", "apns") is None


def test_what_the_database_knows_counts_where_it_is_more():
    evidence = evidence_of(accepted=1, doubts=20)
    evidence.note_record("", accepted=100_000, answers=100_020)
    assert judge(evidence, DOUBT, "", "apns") is None
    evidence.note_record("", accepted=0, answers=0)
    assert judge(evidence, DOUBT, "", "apns") is None


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
        evidence.count(THROTTLED, "")
    for _ in range(accepted):
        evidence.count_acceptance("")
    assert judge_rate(evidence) == effect
    evidence.clear_rate()
    assert judge_rate(evidence) is None
    assert evidence.of("").accepted == accepted


def test_a_provider_that_gives_no_time_is_left_alone_for_a_minute():
    evidence = Evidence()
    evidence.count(TryLater("429", reach=Reach.PROVIDER), "")
    assert judge_rate(evidence) == ThrottleProvider(PROVIDER_PAUSE)


SUSPECT_SINCE_YESTERDAY = History(suspect_for_a_day=True)


@pytest.mark.parametrize(
    ("accepted", "doubts", "history", "held", "finding"),
    [
        (100, 1, NOTHING_AGAINST_IT, False, Finding.SUSPECT),
        (100, 1, SUSPECT_SINCE_YESTERDAY, False, Finding.GONE),
        (100, 1, SUSPECT_SINCE_YESTERDAY, True, Finding.OUR_FAULT),
        (4, 3, NOTHING_AGAINST_IT, False, Finding.SUSPECT),
        (3, 3, SUSPECT_SINCE_YESTERDAY, False, Finding.BURIED),
        (0, 1, SUSPECT_SINCE_YESTERDAY, False, Finding.BURIED),
        (100, 10, SUSPECT_SINCE_YESTERDAY, False, Finding.BURIED),
        (1, 60, SUSPECT_SINCE_YESTERDAY, False, Finding.OUR_FAULT),
        (0, 20, NOTHING_AGAINST_IT, False, Finding.OUR_FAULT),
    ],
)
def test_a_doubt_is_believed_in_a_small_minority_and_final_on_another_day(
    accepted, doubts, history, held, finding
):
    tally = evidence_of(accepted=accepted, doubts=doubts).of("")
    assert judge_doubt(tally, history, held=held) is finding


@pytest.mark.parametrize(
    ("refusals", "suspect", "accepted", "finding"),
    [
        (0, False, 100, Finding.BURIED),
        (3, False, 100, Finding.BURIED),
        (4, False, 100, Finding.SUSPECT),
        (9, True, 100, Finding.GONE),
        (3, True, 100, Finding.BURIED),
        (9, True, 0, Finding.BURIED),
    ],
)
def test_a_device_refused_in_five_alerts_ends_as_suspect_and_then_as_gone(
    refusals, suspect, accepted, finding
):
    evidence = evidence_of(accepted=accepted)
    evidence.count(DeviceRefused("400"), "")
    assert judge_refusal(evidence.of(""), History(True, refusals, suspect)) is finding


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
