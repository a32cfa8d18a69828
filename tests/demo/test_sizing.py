"""How large the system must be: the arithmetic, and the simulation that checks it."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.commands import call_sizing, sizing
from service.commands.call_sizing import CallCost, CallGoal, Return

COSTS = sizing.Costs(push_us=100, encryption_us=100, database_us=10, first_push_s=0)
PHONES = {"fcm": 1.0, "apns": 1.0}


def a_goal(**given):
    values = {"devices": 1_000_000, "seconds": 10, "mix": PHONES, "quotas": {}, "busy": 1.0}
    return sizing.Goal(**values | given)


def test_a_million_in_ten_seconds_at_100_us_takes_ten_processes():
    result = sizing.size(a_goal(), COSTS)
    assert result.processes == 10
    assert result.per_second == pytest.approx(100_000)
    assert result.database_cores == 1
    assert result.broker_messages == 200


def test_cores_that_may_be_filled_by_half_are_needed_twice():
    assert sizing.size(a_goal(busy=0.5), COSTS).processes == 20


def test_encryption_is_paid_for_web_push_alone():
    browsers = sizing.size(a_goal(mix={"webpush": 1.0}), COSTS)
    assert browsers.processes == 20


def test_slow_answers_ask_for_more_windows_than_cores():
    slow = replace(COSTS, answer_s=1.0, window=1000)
    assert sizing.size(a_goal(), slow).processes == 50


def test_a_quota_that_is_too_small_comes_with_the_number_to_ask_for():
    (bottleneck,) = sizing.size(
        a_goal(seconds=60, quotas={"fcm": 250_000}, ramp_s=0), COSTS
    ).bottlenecks
    assert (bottleneck.provider, bottleneck.sufficient_quota) == ("fcm", 600_000)
    assert bottleneck.seconds_needed == pytest.approx(120)


def test_a_ramp_of_the_whole_time_asks_for_twice_the_quota():
    (bottleneck,) = sizing.size(
        a_goal(seconds=60, quotas={"fcm": 250_000}, ramp_s=60), COSTS
    ).bottlenecks
    assert bottleneck.sufficient_quota == 1_200_000
    assert bottleneck.seconds_needed == pytest.approx(150)


def test_a_quota_that_is_large_enough_is_no_bottleneck():
    assert (
        sizing.size(a_goal(seconds=60, quotas={"fcm": 500_000}, ramp_s=0), COSTS).bottlenecks == ()
    )


@pytest.mark.parametrize("devices", [20_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("mix", [PHONES, {"fcm": 6.0, "apns": 3.0, "webpush": 1.0}])
def test_the_resulting_size_reaches_the_goal_when_simulated(devices, mix):
    goal = a_goal(devices=devices, mix=mix, seconds=60)
    course = sizing.simulate(goal, COSTS, sizing.size(goal, COSTS).processes)
    assert course.half_s <= course.ninety_s <= course.all_s <= 60 + 2 * sizing.STEP_S


def test_one_process_fewer_misses_the_goal():
    goal = a_goal(seconds=60)
    assert sizing.simulate(goal, COSTS, sizing.size(goal, COSTS).processes - 1).all_s > 70


@pytest.mark.parametrize("ramp_s", [0, 60])
def test_the_simulation_takes_as_long_as_the_bottleneck_says(ramp_s):
    goal = a_goal(seconds=60, quotas={"fcm": 250_000}, ramp_s=ramp_s)
    result = sizing.size(goal, COSTS)
    course = sizing.simulate(goal, COSTS, result.processes)
    assert course.all_s == pytest.approx(result.bottlenecks[0].seconds_needed, rel=0.02)


def test_with_the_required_quota_the_goal_is_reached():
    goal = a_goal(seconds=60, quotas={"fcm": 250_000}, ramp_s=10)
    result = sizing.size(goal, COSTS)
    raised_goal = replace(goal, quotas={"fcm": result.bottlenecks[0].sufficient_quota})
    assert sizing.simulate(raised_goal, COSTS, result.processes).all_s <= 60 + 2 * sizing.STEP_S
    assert sizing.size(raised_goal, COSTS).bottlenecks == ()


def test_the_command_prints_processes_quota_and_simulation():
    result = CliRunner().invoke(app, ["size", "--devices", "50000000", "--seconds", "60"])
    assert result.exit_code == 0, result.output
    assert "sending processes" in result.stdout
    assert "ask for 72," in result.stdout
    assert "Simulated with the quota raised" in result.stdout


def test_a_mix_without_weights_is_refused():
    result = CliRunner().invoke(app, ["size", "--devices", "1", "--mix", "fcm"])
    assert "weights" in str(result.exception)


def a_call_goal(**given):
    cost = CallCost(api_us=500, database_us=100)
    values = {
        "devices": 1_200_000,
        "seconds": 60,
        "back": Return(open_share=0.05, shown_share=0.3, within_s=120),
        "busy": 1.0,
        "costs": dict.fromkeys(call_sizing.CALLS, cost),
        "page_bytes": 125_000,
    }
    return CallGoal(**values | given)


def test_a_wave_of_4_500_calls_a_second_at_500_us_takes_three_processes():
    size = call_sizing.size_calls(a_call_goal())
    assert size.calls == {"receipt": 3500, "GET /api/me": 500, "renewal": 500}
    assert size.processes == 3
    assert size.database_cores == 1
    assert size.database_connections == 3 * 23
    assert (size.pages_per_second, size.cache_mbit_per_second) == (500, 500)


def test_an_alert_that_leaves_over_a_longer_time_brings_less_back_in_a_second():
    spread = call_sizing.size_calls(a_call_goal(seconds=1200))
    assert spread.calls["receipt"] == 350
    assert spread.processes == 1


def test_the_command_prints_what_an_alert_brings_back():
    arguments = ["size", "--devices", "1200000", "--open-share", "0.1", "--within", "60"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "API processes" in result.stdout
    assert "2,000/s" in result.stdout
