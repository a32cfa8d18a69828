"""`newszop size`: how large the system must be, from what was measured."""

from dataclasses import replace
from typing import Annotated

import typer

from service.commands import call_sizing, sizing
from service.commands.output import Failed, print_table, say
from service.domain.pace.open_rate import DEFAULT_OPEN_SHARE, OPENED_WITHIN

COSTS = sizing.Costs()
GOAL = sizing.Goal(devices=1, seconds=1)


Devices = Annotated[int, typer.Option(min=1, help="Devices that one alert goes to.")]
Seconds = Annotated[float, typer.Option(min=0.5, help="Until the last has it.")]
Mix = Annotated[str, typer.Option(help="The providers' weights.")]
Quota = Annotated[int, typer.Option(min=1, help="Google's quota of your project.")]
Ramp = Annotated[float, typer.Option(min=0, help="FCM_RAMP_SECONDS: until that rate is reached.")]
PushUs = Annotated[float, typer.Option(min=1, help="One push, in microseconds of a sending core.")]
ExtraUs = Annotated[float, typer.Option(min=0, help="What Web Push costs besides.")]
DatabaseUs = Annotated[
    float, typer.Option(min=0.1, help="One push, in microseconds of a database core.")
]
AnswerMs = Annotated[float, typer.Option(min=0.1, help="What a provider takes to answer.")]
OpenShare = Annotated[
    float, typer.Option(min=0, max=1, help="Of the devices, how many open the alert.")
]
ShownShare = Annotated[
    float, typer.Option(min=0, max=1, help="Of the devices, how many report it as shown.")
]
Within = Annotated[float, typer.Option(min=1, help="Seconds in which they do so after the push.")]
Busy = Annotated[float, typer.Option(min=0.1, max=1.0, help="How far a core may be filled.")]


def size(
    devices: Devices,
    seconds: Seconds = 60.0,
    mix: Mix = "fcm=6,apns=3,webpush=1",
    fcm_per_minute: Quota = GOAL.quotas["fcm"],
    fcm_ramp: Ramp = GOAL.ramp_s,
    push_us: PushUs = COSTS.push_us,
    encryption_us: ExtraUs = COSTS.encryption_us,
    database_us: DatabaseUs = COSTS.database_us,
    answer_ms: AnswerMs = COSTS.answer_s * 1000,
    open_share: OpenShare = DEFAULT_OPEN_SHARE,
    shown_share: ShownShare = 0.3,
    within: Within = OPENED_WITHIN.total_seconds(),
    busy: Busy = GOAL.busy,
) -> None:
    """Say how many processes, cores and gigabytes an alert needs, and which quotas stand in it.

    The costs are measured ones; `make bench` measures them on your machines.
    """
    costs = replace(COSTS, push_us=push_us, encryption_us=encryption_us, database_us=database_us)
    costs = replace(costs, answer_s=answer_ms / 1000)
    quotas = {"fcm": fcm_per_minute}
    goal = sizing.Goal(
        devices=devices,
        seconds=seconds,
        mix=_weights(mix),
        quotas=quotas,
        ramp_s=fcm_ramp,
        busy=busy,
    )
    result = sizing.size(goal, costs)
    print_table(("For", "You need"), _rows(goal, result))
    for bottleneck in result.bottlenecks:
        say(_describe_bottleneck(bottleneck, seconds))
    _print_simulations(goal, costs, result)
    _print_calls(goal, call_sizing.Return(open_share, shown_share, within))
    say(f"Costs measured {sizing.MEASURED}.")


def _weights(mix: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in mix.split(",")]
        weights = {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise Failed("--mix takes weights, as in fcm=6,apns=3,webpush=1") from None
    if min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise Failed("--mix: weights are not negative, and one is more than nothing")
    return weights


def _rows(goal: sizing.Goal, result: sizing.Size) -> list[tuple[str, str]]:
    return [
        ("rate", f"{result.per_second:,.0f} pushes/s"),
        ("sending processes", f"{result.processes:,} on as many cores"),
        ("their memory", f"{result.sender_memory_gib:,.1f} GiB"),
        ("PostgreSQL cores", f"{result.database_cores:,}"),
        ("PostgreSQL connections", f"{result.database_connections:,}"),
        ("PostgreSQL flushes", f"{result.flushes_per_second:,} transactions/s"),
        (
            f"PostgreSQL disk, {goal.alerts_per_day} such alerts a day kept {goal.keep_days} days",
            f"{result.database_disk_gib:,.1f} GiB",
        ),
        ("Redis cores", f"{result.broker_cores:,}"),
        ("Redis messages an alert", f"{result.broker_messages:,}"),
    ]


def _print_calls(goal: sizing.Goal, back: call_sizing.Return) -> None:
    calls = call_sizing.CallGoal(
        devices=goal.devices, seconds=goal.seconds, back=back, busy=goal.busy
    )
    print_table(("For what it brings back", "You need"), _call_rows(call_sizing.size_calls(calls)))


def _call_rows(size: call_sizing.CallSize) -> list[tuple[str, str]]:
    return [
        *((call, f"{rate:,.0f}/s") for call, rate in size.calls.items()),
        ("API processes", f"{size.processes:,} on as many cores"),
        ("PostgreSQL cores for them", f"{size.database_cores:,}"),
        ("PostgreSQL connections for them", f"{size.database_connections:,}"),
        ("story pages, from a CDN", f"{size.pages_per_second:,.0f}/s"),
        ("which is, compressed", f"{size.cache_mbit_per_second:,.0f} Mbit/s"),
    ]


def _describe_bottleneck(bottleneck: sizing.Bottleneck, seconds: float) -> str:
    return (
        f"Quota: {bottleneck.provider} lets {bottleneck.quota:,} a minute through, so its "
        f"devices take {bottleneck.seconds_needed:,.0f} s, the ramp included; for {seconds:g} s "
        f"ask for {bottleneck.sufficient_quota:,} a minute, or for a shorter ramp."
    )


def _print_simulations(goal: sizing.Goal, costs: sizing.Costs, result: sizing.Size) -> None:
    """Simulate the alert with the quotas as they are and, where one stands in it, as asked for."""
    _print_course("Simulated", sizing.simulate(goal, costs, result.processes))
    if result.bottlenecks:
        quotas = dict(goal.quotas) | {
            bottleneck.provider: bottleneck.sufficient_quota for bottleneck in result.bottlenecks
        }
        course = sizing.simulate(replace(goal, quotas=quotas), costs, result.processes)
        _print_course("Simulated with the quota raised", course)


def _print_course(label: str, course: sizing.Course) -> None:
    say(
        f"{label}: 50 % after {course.half_s:,.1f} s, 90 % after {course.ninety_s:,.1f} s, "
        f"all after {course.all_s:,.1f} s."
    )
