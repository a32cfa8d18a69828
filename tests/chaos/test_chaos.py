"""The short chaos run; the long one is `make chaos SEED=7 MINUTES=5`."""

from tests.chaos import schedule
from tests.chaos.chaos_run import ChaosRun


def test_the_same_seed_gives_the_same_schedule():
    assert schedule.plan_faults(7, 300, 6) == schedule.plan_faults(7, 300, 6)
    assert schedule.plan_sendings(7, 300, 6) == schedule.plan_sendings(7, 300, 6)
    assert schedule.plan_faults(7, 300, 6) != schedule.plan_faults(8, 300, 6)


def test_every_fault_happens_in_a_run_of_fifteen_minutes():
    assert {fault.name for fault in schedule.plan_faults(7, 900, 6)} == set(schedule.FAULTS)


def test_nothing_is_lost_and_nothing_shown_twice_under_faults():
    """PostgreSQL starts again, then a sending worker is killed, and its successor is frozen."""
    outcome = ChaosRun(seed=25, seconds=14, devices=2_500, every_s=3, reader_pause_s=0.1).run()
    print("\n".join(outcome.lines()))
    assert outcome.is_good, outcome.lines()
    assert outcome.messages > 0
    assert outcome.findings.answered_calls > 0
    assert len(outcome.faults) >= 3
