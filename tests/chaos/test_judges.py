"""Who judges must be able to say no: each invariant, broken on purpose."""

from tests.chaos import checker, doubles
from tests.chaos.checker import Push
from tests.chaos.doubles import Span, Verdict
from tests.chaos.outcome import Outcome

KILLED = Span("kill worker", 100.0, 101.0)


def outcome(**found):
    return Outcome(
        seed=1,
        findings=checker.Findings(**found),
        faults=[KILLED],
        alerts=1,
        messages=1,
        early=[],
        recoveries=[],
    )


def a_push(address, at):
    return Push(address, "First word", "story-1", at)


def test_a_double_just_before_a_kill_is_explained_by_it():
    assert doubles.judge([99.0, 100.5], [KILLED]) == Verdict(unexplained=0, beyond_bound=0)


def test_a_double_long_before_or_after_any_fault_has_nothing_to_blame():
    long_known = 100.0 - doubles.KNOWN_S - 0.1
    long_over = 101.0 + doubles.AFTERMATH_S + 0.1
    assert doubles.judge([long_known, long_over], [KILLED]).unexplained == 2


def test_a_fault_that_leaves_no_outcome_unknown_explains_no_double():
    assert doubles.judge([100.0], [Span("kill service", 99.0, 101.0)]).unexplained == 1


def test_a_kill_may_double_what_was_in_flight_and_not_one_more():
    assert doubles.judge([100.0] * KILLED.bound, [KILLED]).beyond_bound == 0
    assert doubles.judge([100.0] * (KILLED.bound + 1), [KILLED]).beyond_bound == 1


def test_a_push_after_its_acceptance_was_on_record_was_sent_again():
    got = [a_push("a", 10.0), a_push("a", 20.0)]
    found = checker.judge({1: "a"}, {1: "accepted"}, got, {1: 15.0})
    assert (found.sent_again, found.doubled) == ([20.0], [10.0])
    assert outcome(sent_again=[20.0]).zeros()["sent again after its acceptance was flushed"] == 1


def test_only_what_lay_half_sent_in_a_frozen_worker_may_follow_an_acceptance():
    frozen = Span(doubles.FREEZE, 100.0, 115.0)
    awake = 115.0 + doubles.AWAKE_S
    assert doubles.inexcusable([awake] * doubles.HALF_SENT, [frozen]) == 0
    assert doubles.inexcusable([awake] * (doubles.HALF_SENT + 1), [frozen]) == 1
    assert doubles.inexcusable([awake + 0.1, 114.9], [frozen]) == 2
    assert doubles.inexcusable([awake], [KILLED]) == 1


def test_a_double_in_a_thousand_needs_no_fault_to_blame_and_more_do():
    key = "pushed twice with nothing to blame"
    assert outcome(devices=2000, doubled=[1.0, 2.0]).zeros()[key] == 0
    assert outcome(devices=2000, doubled=[1.0, 2.0, 3.0]).zeros()[key] == 3


def test_an_acceptance_on_record_that_is_gone_in_the_end_was_forgotten():
    found = checker.judge({1: "a"}, {1: "cancelled"}, [a_push("a", 10.0)], {1: 15.0})
    assert found.forgotten == 1


def test_an_acceptance_without_a_push_and_a_device_without_a_delivery_are_lost():
    assert checker.judge({1: "a", 2: "b"}, {1: "accepted"}, [], {}).lost == 2


def test_one_note_one_open_alert_or_one_early_message_breaks_the_promise():
    assert outcome().kept
    assert not outcome(notes=["an editor gave up"]).kept
    assert not outcome(never_ended=1).kept
    early = outcome()
    early.early = ["plan_alert(1,)"]
    assert not early.kept
    assert "note: early: plan_alert(1,)" in "\n".join(early.lines())
