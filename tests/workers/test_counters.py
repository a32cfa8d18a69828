"""What a process counts for Prometheus."""

from typing import get_args

from service.domain import verdict
from workers.counters import VERDICTS, AnswerTally


def test_every_verdict_is_counted_under_a_name_of_its_own():
    kinds = get_args(verdict.Verdict)
    tally = AnswerTally()
    for kind in kinds:
        tally.verdicts["a test", kind] += 2
    tally.publish([], at_once=True)
    series = [s for family in VERDICTS.collect() for s in family.samples]
    ours = [s for s in series if "a test" in s.labels.values() and s.name.endswith("_total")]
    assert len(kinds) == 6
    assert [s.value for s in ours] == [2.0] * len(kinds)


def test_nothing_is_asked_for_before_it_is_due():
    tally = AnswerTally()
    tally.publish([], at_once=True)
    tally.publish(iter_that_fails(), at_once=False)


def iter_that_fails():
    raise AssertionError("asked for what is in flight")
    yield
