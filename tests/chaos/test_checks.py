"""The checks of a chaos run must be able to fail: each invariant, broken on purpose."""

import pytest

from tests.chaos import answered_calls, checker, duplicate_pushes
from tests.chaos.answered_calls import AnsweredCalls, Discrepancies
from tests.chaos.checker import PhonePush
from tests.chaos.duplicate_pushes import (
    DuplicateCount,
    FaultSpan,
    count_inexcusable,
    count_unexplained,
)
from tests.chaos.outcome import Outcome

KILLED = FaultSpan("kill worker", 100.0, 101.0)


def outcome(**findings):
    return Outcome(
        seed=1,
        findings=checker.Findings(**findings),
        faults=[KILLED],
        alerts=1,
        messages=1,
        early=[],
        recoveries=[],
    )


def a_push(address, at):
    return PhonePush(address, "First word", "story-1", at)


def test_a_duplicate_just_before_a_kill_is_explained_by_it():
    assert count_unexplained([99.0, 100.5], [KILLED]) == DuplicateCount(
        unexplained=0, beyond_bound=0
    )


def test_a_duplicate_long_before_or_after_any_fault_is_unexplained():
    recorded_long_before = 100.0 - duplicate_pushes.RECORDED_S - 0.1
    long_after = 101.0 + duplicate_pushes.AFTERMATH_S + 0.1
    assert count_unexplained([recorded_long_before, long_after], [KILLED]).unexplained == 2


def test_a_fault_that_leaves_no_outcome_unknown_explains_no_duplicate():
    assert count_unexplained([100.0], [FaultSpan("kill service", 99.0, 101.0)]).unexplained == 1


def test_a_kill_may_duplicate_what_was_in_flight_and_not_one_more():
    assert count_unexplained([100.0] * KILLED.bound, [KILLED]).beyond_bound == 0
    assert count_unexplained([100.0] * (KILLED.bound + 1), [KILLED]).beyond_bound == 1


def test_a_push_after_its_acceptance_was_on_record_was_sent_again():
    received = [a_push("a", 10.0), a_push("a", 20.0)]
    findings = checker.check_alert({1: "a"}, {1: "accepted"}, received, {1: 15.0})
    assert (findings.sent_again, findings.duplicates) == ([20.0], [10.0])
    assert outcome(sent_again=[20.0]).zeros()["sent again after the acceptance was recorded"] == 1


def test_only_what_a_frozen_worker_had_half_sent_may_follow_an_acceptance():
    frozen = FaultSpan(duplicate_pushes.FREEZE, 100.0, 115.0)
    last = 115.0 + duplicate_pushes.AWAKE_S
    assert count_inexcusable([last] * duplicate_pushes.HALF_SENT, [frozen]) == 0
    assert count_inexcusable([last] * (duplicate_pushes.HALF_SENT + 1), [frozen]) == 1
    assert count_inexcusable([last + 0.1, 114.9], [frozen]) == 2
    assert count_inexcusable([last], [KILLED]) == 1


def test_one_duplicate_in_a_thousand_needs_no_fault_and_more_do():
    key = "pushed twice without a fault"
    assert outcome(devices=2000, duplicates=[1.0, 2.0]).zeros()[key] == 0
    assert outcome(devices=2000, duplicates=[1.0, 2.0, 3.0]).zeros()[key] == 3


def test_an_acceptance_on_record_that_is_missing_at_the_end_was_lost():
    findings = checker.check_alert({1: "a"}, {1: "cancelled"}, [a_push("a", 10.0)], {1: 15.0})
    assert findings.forgotten == 1


def test_an_acceptance_without_a_push_and_a_device_without_a_delivery_are_lost():
    assert checker.check_alert({1: "a", 2: "b"}, {1: "accepted"}, [], {}).lost == 2


def test_one_note_one_open_alert_or_one_early_message_breaks_the_promise():
    assert outcome().is_good
    assert not outcome(notes=["an editor gave up"]).is_good
    assert not outcome(never_ended=1).is_good
    early = outcome()
    early.early = ["plan_alert(1,)"]
    assert not early.is_good
    assert "note: early: plan_alert(1,)" in "\n".join(early.lines())


def some_calls(**given):
    values = {
        "readers": {1, 2},
        "owners": {7: 1, 8: 2},
        "locales": {7: "hi"},
        "follows": {1: "quiet", 2: None},
        "shown": {3, 4},
        "opened": {4},
        "shown_sent": {3, 4},
        "opened_sent": {4},
    }
    return AnsweredCalls(**values | given)


def test_what_was_answered_and_is_on_record_is_not_missing():
    more = some_calls(readers={1, 2, 3}, shown={3, 4, 5})
    assert answered_calls.compare(some_calls(), more, (2, 1)) == Discrepancies()


@pytest.mark.parametrize(
    "rows",
    [
        {"readers": {1}},
        {"owners": {7: 1}},
        {"owners": {7: 2, 8: 2}},
        {"locales": {7: "en"}},
        {"follows": {1: None, 2: None}},
        {"follows": {1: "quiet", 2: "quiet"}},
        {"shown": {3}},
        {"opened": set()},
    ],
)
def test_an_effect_that_is_not_on_record_is_missing(rows):
    found = answered_calls.compare(some_calls(), some_calls(**rows), (2, 1))
    assert found == Discrepancies(missing=1)
    assert not outcome(missing_effects=found.missing).is_good


def test_a_receipt_that_was_written_and_never_answered_is_no_surplus():
    answered = some_calls(shown_sent={3, 4, 5})
    assert answered_calls.compare(answered, some_calls(), (3, 1)) == Discrepancies()


def test_a_receipt_that_counts_twice_is_surplus():
    found = answered_calls.compare(some_calls(), some_calls(), (2, 2))
    assert found == Discrepancies(surplus_receipts=1)
    assert not outcome(surplus_receipts=found.surplus_receipts).is_good
