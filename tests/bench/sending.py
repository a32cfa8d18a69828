"""One sending process without Celery: `python -m tests.bench.sending`, for a look inside.

Reads a `Task` as JSON from standard input, plans its alert and delivers all of it in this process,
and prints a `Sent` as JSON. Its environment says where the database and the stand-ins are.
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
from tests.bench.stages import StageClock, TimedGateway, put_clocks
from workers import deliver, plan
from workers.context import WorkerContext, open_context

RUN_IN = 0.15
"""The first and the last part of a run, in which no window can be full, are left out."""


@dataclass(frozen=True)
class Task:
    """Whom to push to, and whether the stages are timed (which costs some microseconds a push)."""

    topic: str
    timed: bool


@dataclass(frozen=True)
class Sent:
    """What came of it. `fullness` is the part of the windows that was in use, over time."""

    planned: int
    accepted: int
    seconds: float
    cpu: float
    resident_mib: int
    fullness: float
    stages: dict[str, float] = field(default_factory=dict)


class NoBroker:
    """Takes every message and drops it: this process does all there is to do."""

    def send(self, message: Message) -> None:
        """Drop it."""


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def send(task: Task) -> Sent:
    process = open_context()
    process.broker = NoBroker()  # type: ignore[assignment]
    clock = StageClock() if task.timed else None
    gateway = put_clocks(process, clock)
    alert_id = _new_alert(process, task.topic)
    begun, used = time.monotonic(), cpu_seconds()
    plan.plan_alert(process, alert_id)
    while not _is_over(process, alert_id):
        deliver.deliver(process, alert_id)
    seconds, cpu = time.monotonic() - begun, cpu_seconds() - used
    with transaction(process.engine) as session:
        totals = alerts.report(session, alert_id).totals
    return Sent(
        planned=totals.planned,
        accepted=totals.accepted,
        seconds=seconds,
        cpu=cpu,
        resident_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        fullness=_fullness(gateway, process),
        stages=clock.results() if clock else {},
    )


def _new_alert(process: WorkerContext, topic: str) -> int:
    with transaction(process.engine) as session:
        story = a.a_story(session, topics=[topic])
        return int(a.an_alert(session, story, kind="update").id)


def _is_over(process: WorkerContext, alert_id: int) -> bool:
    with transaction(process.engine) as session:
        found = alerts.get(session, alert_id)
        return found is not None and found.state.final


def _fullness(gateway: TimedGateway, process: WorkerContext) -> float:
    looks = gateway.in_flight_at
    room = sum(p.window for name, p in process.providers.items() if name in ("apns", "fcm"))
    begin, end = looks[0][0], looks[-1][0]
    from_, to = begin + (end - begin) * RUN_IN, end - (end - begin) * RUN_IN
    filled = spent = 0.0
    for (at, in_flight), (after, _) in pairwise(looks):
        if from_ <= at <= to:
            filled += in_flight * (after - at)
            spent += after - at
    return filled / (spent * room) if spent else 0.0


if __name__ == "__main__":
    print(json.dumps(asdict(send(Task(**json.load(sys.stdin))))))
