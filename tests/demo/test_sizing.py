"""How large the system must be: the arithmetic, and the simulation that holds it to account."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.commands import sizing

COSTS = sizing.Costs(push_us=100, encryption_us=100, database_us=10, first_push_s=0)
PHONES = {"fcm": 1.0, "apns": 1.0}


def a_wish(**given):
    values = {"devices": 1_000_000, "seconds": 10, "mix": PHONES, "quotas": {}, "busy": 1.0}
    return sizing.Wish(**values | given)


def test_a_million_in_ten_seconds_at_100_us_takes_ten_processes():
    found = sizing.size(a_wish(), COSTS)
    assert found.processes == 10
    assert found.per_second == pytest.approx(100_000)
    assert found.database_cores == 1
    assert found.broker_messages == 200


def test_cores_that_may_be_filled_by_half_are_needed_twice():
    assert sizing.size(a_wish(busy=0.5), COSTS).processes == 20


def test_encryption_is_paid_for_web_push_alone():
    browsers = sizing.size(a_wish(mix={"webpush": 1.0}), COSTS)
    assert browsers.processes == 20


def test_slow_answers_ask_for_more_windows_than_cores():
    slow = replace(COSTS, answer_s=1.0, window=1000)
    assert sizing.size(a_wish(), slow).processes == 50


def test_a_quota_in_the_way_is_a_wall_with_the_number_to_ask_for():
    (wall,) = sizing.size(a_wish(seconds=60, quotas={"fcm": 250_000}, ramp_s=0), COSTS).walls
    assert (wall.provider, wall.needed) == ("fcm", 600_000)
    assert wall.seconds_without == pytest.approx(120)


def test_a_ramp_of_the_whole_time_asks_for_twice_the_quota():
    (wall,) = sizing.size(a_wish(seconds=60, quotas={"fcm": 250_000}, ramp_s=60), COSTS).walls
    assert wall.needed == 1_200_000
    assert wall.seconds_without == pytest.approx(150)


def test_a_quota_that_is_wide_enough_is_no_wall():
    assert sizing.size(a_wish(seconds=60, quotas={"fcm": 500_000}, ramp_s=0), COSTS).walls == ()


@pytest.mark.parametrize("devices", [20_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("mix", [PHONES, {"fcm": 6.0, "apns": 3.0, "webpush": 1.0}])
def test_what_comes_out_reaches_the_wish_when_simulated(devices, mix):
    wish = a_wish(devices=devices, mix=mix, seconds=60)
    course = sizing.simulate(wish, COSTS, sizing.size(wish, COSTS).processes)
    assert course.half_s <= course.ninety_s <= course.all_s <= 60 + 2 * sizing.STEP_S


def test_fewer_processes_than_that_miss_it():
    wish = a_wish(seconds=60)
    assert sizing.simulate(wish, COSTS, sizing.size(wish, COSTS).processes - 1).all_s > 70


@pytest.mark.parametrize("ramp_s", [0, 60])
def test_the_simulation_takes_as_long_behind_a_wall_as_the_wall_says(ramp_s):
    wish = a_wish(seconds=60, quotas={"fcm": 250_000}, ramp_s=ramp_s)
    found = sizing.size(wish, COSTS)
    course = sizing.simulate(wish, COSTS, found.processes)
    assert course.all_s == pytest.approx(found.walls[0].seconds_without, rel=0.02)


def test_with_the_quota_that_was_asked_for_the_wish_is_reached():
    wish = a_wish(seconds=60, quotas={"fcm": 250_000}, ramp_s=10)
    found = sizing.size(wish, COSTS)
    raised = replace(wish, quotas={"fcm": found.walls[0].needed})
    assert sizing.simulate(raised, COSTS, found.processes).all_s <= 60 + 2 * sizing.STEP_S
    assert sizing.size(raised, COSTS).walls == ()


def test_the_command_tells_processes_quota_and_course():
    result = CliRunner().invoke(app, ["size", "--devices", "50000000", "--seconds", "60"])
    assert result.exit_code == 0, result.output
    assert "sending processes" in result.stdout
    assert "ask for 72," in result.stdout
    assert "Simulated with the quota raised" in result.stdout


def test_a_mix_that_is_none_is_refused():
    result = CliRunner().invoke(app, ["size", "--devices", "1", "--mix", "fcm"])
    assert "weights" in str(result.exception)
