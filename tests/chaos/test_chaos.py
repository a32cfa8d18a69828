"""A short chaos run of every test run; the long one is `make chaos SEED=7 MINUTES=5`."""

from tests.chaos import schedule
from tests.chaos.run import Chaos


def test_the_same_seed_gives_the_same_schedule():
    assert schedule.faults(7, 300, 6) == schedule.faults(7, 300, 6)
    assert schedule.sendings(7, 300, 6) == schedule.sendings(7, 300, 6)
    assert schedule.faults(7, 300, 6) != schedule.faults(8, 300, 6)


def test_every_fault_comes_in_a_run_of_five_minutes():
    assert {fault.name for fault in schedule.faults(7, 300, 6)} == set(schedule.FAULTS)


def test_nothing_is_lost_and_nothing_shown_twice_whatever_dies():
    outcome = Chaos(seed=11, seconds=20, devices=4_000, every_s=3).run()
    print("\n".join(outcome.lines()))
    assert outcome.kept, outcome.lines()
    assert outcome.messages > 0
    assert len(outcome.faults) >= 3
