"""One sending process without Celery: `python -m tests.bench.one_process`.

Reads a `SendTask` as JSON from standard input, plans its alert and delivers all of it in this
process, and prints a `ProcessRun` as JSON. Database and stand-ins come from the environment.
"""

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise

from service.outbox import Message
from service.store.alerts import alerts
from service.store.session import transaction
from tests import builders as a
from tests.bench.stages import StageClock, TimedGateway, install_clocks
from workers import deliver, plan
from workers.context import WorkerContext, open_context

MARGIN = 0.15
"""The first and the last part of a run are left out: no window can be full there."""


@dataclass(frozen=True)
class SendTask:
    """The topic to push to, and whether to time the stages (some microseconds per push)."""

    topic: str
    timed: bool


@dataclass(frozen=True)
class ProcessRun:
    """The result. `fullness` is the average share of the windows that was in use."""

    planned: int
    accepted: int
    seconds: float
    cpu: float
    resident_mib: int
    fullness: float
    stages: dict[str, float] = field(default_factory=dict)


class NoBroker:
    """Drops every message: this process does all the work itself."""

    def send(self, message: Message) -> None:
        """Drop the message."""


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def send(task: SendTask) -> ProcessRun:
    context = open_context()
    context.broker = NoBroker()  # type: ignore[assignment]
    clock = StageClock() if task.timed else None
    gateway = install_clocks(context, clock)
    alert_id = _new_alert(context, task.topic)
    start, start_cpu = time.monotonic(), cpu_seconds()
    plan.plan_alert(context, alert_id)
    while not _is_final(context, alert_id):
        deliver.deliver(context, alert_id)
    seconds, cpu = time.monotonic() - start, cpu_seconds() - start_cpu
    with transaction(context.engine) as session:
        totals = alerts.report(session, alert_id).totals
    return ProcessRun(
        planned=totals.planned,
        accepted=totals.accepted,
        seconds=seconds,
        cpu=cpu,
        resident_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        fullness=_fullness(gateway, context),
        stages=clock.results() if clock else {},
    )


def _new_alert(context: WorkerContext, topic: str) -> int:
    with transaction(context.engine) as session:
        story = a.a_story(session, topics=[topic])
        return int(a.an_alert(session, story, kind="update").id)


def _is_final(context: WorkerContext, alert_id: int) -> bool:
    with transaction(context.engine) as session:
        alert = alerts.get(session, alert_id)
        return alert is not None and alert.state.final


def _fullness(gateway: TimedGateway, context: WorkerContext) -> float:
    samples = gateway.in_flight_at
    capacity = sum(p.window for name, p in context.providers.items() if name in ("apns", "fcm"))
    begin, end = samples[0][0], samples[-1][0]
    first, last = begin + (end - begin) * MARGIN, end - (end - begin) * MARGIN
    used = total = 0.0
    for (at, in_flight), (after, _) in pairwise(samples):
        if first <= at <= last:
            used += in_flight * (after - at)
            total += after - at
    return used / (total * capacity) if total else 0.0


if __name__ == "__main__":
    print(json.dumps(asdict(send(SendTask(**json.load(sys.stdin))))))
