"""Where a sending process's time goes: clocks put around the stages from outside.

Nothing in the workers knows of it. A stage's time is its own: what it calls of another stage counts
there. The clock is the thread's CPU, so waiting costs nothing, and what the clocks themselves cost
is measured and taken off.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from service.store.deliveries import shards
from workers import plan
from workers.context import WorkerContext
from workers.delivery.answers import AnswerReader
from workers.delivery.building import Builder
from workers.delivery.claiming import Claiming
from workers.delivery.flushing import Flush
from workers.delivery.sending import Sending

OTHER = "rest"
STAGES = ("plan", "fan-out", "load", "build", "send", "verdict", "flush", OTHER)
CALIBRATION = 20_000


class StageClock:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside: list[str] = [OTHER]
        self._since = time.thread_time()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its CPU counted for `stage`."""
        inside, spent, now = self._inside, self.spent, time.thread_time

        def run(*args: Any, **named: Any) -> Any:
            at = now()
            spent[inside[-1]] += at - self._since
            self._since = at
            inside.append(stage)
            self.calls[stage] += 1
            try:
                return function(*args, **named)
            finally:
                at = now()
                spent[stage] += at - self._since
                self._since = at
                inside.pop()

        return run

    def results(self) -> dict[str, float]:
        """Return the seconds by stage, the clocks' own cost taken off."""
        own = _cost_of_a_call()
        kept = Counter({stage: self.spent[stage] - self.calls[stage] * own for stage in STAGES})
        return {stage: max(kept[stage], 0.0) for stage in STAGES}


def _cost_of_a_call() -> float:
    clock = StageClock()
    empty = clock.timed("send", lambda: None)
    begun = time.thread_time()
    for _ in range(CALIBRATION):
        empty()
    return (time.thread_time() - begun) / CALIBRATION


class TimedGateway:
    """A gateway whose work is counted as sending, and what it had in flight when."""

    def __init__(self, gateway: Any, clock: StageClock | None) -> None:
        self._gateway = gateway
        self.in_flight_at: list[tuple[float, int]] = []
        submit, poll = gateway.submit, self._poll
        self.submit = clock.timed("send", submit) if clock else submit
        self.poll = clock.timed("send", poll) if clock else poll

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    def _poll(self, timeout: float) -> Any:
        self.in_flight_at.append((time.monotonic(), self._gateway.in_flight()))
        return self._gateway.poll(timeout)


def put_clocks(context: WorkerContext, clock: StageClock | None) -> TimedGateway:
    """Put the clocks around every stage of this process; without one, only watch the window."""
    gateway = TimedGateway(context.gateway, clock)
    context.gateway = gateway  # type: ignore[assignment]
    if clock is not None:
        for owner, name, stage in (
            (plan, "plan_alert", "plan"),
            (shards, "fan_out", "fan-out"),
            (Claiming, "claim_batch", "load"),
            (Builder, "prepare", "build"),
            (Sending, "fill", "build"),
            (AnswerReader, "read", "verdict"),
            (Flush, "write", "flush"),
        ):
            setattr(owner, name, clock.timed(stage, getattr(owner, name)))
    return gateway
