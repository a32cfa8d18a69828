"""The CPU of a sending process by stage: functions of the workers are wrapped from outside.

A stage that calls another one is not charged for it. The clock is the thread's CPU time, so waiting
costs nothing. The cost of the clocks is measured and subtracted.
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
        self._stack: list[str] = [OTHER]
        self._since = time.thread_time()

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its CPU counted for `stage`."""
        stack, spent, now = self._stack, self.spent, time.thread_time

        def run(*args: Any, **keywords: Any) -> Any:
            at = now()
            spent[stack[-1]] += at - self._since
            self._since = at
            stack.append(stage)
            self.calls[stage] += 1
            try:
                return function(*args, **keywords)
            finally:
                at = now()
                spent[stage] += at - self._since
                self._since = at
                stack.pop()

        return run

    def results(self) -> dict[str, float]:
        """Return the seconds by stage, without the cost of the clocks."""
        call_cost = _cost_of_a_call()
        seconds = Counter(
            {stage: self.spent[stage] - self.calls[stage] * call_cost for stage in STAGES}
        )
        return {stage: max(seconds[stage], 0.0) for stage in STAGES}


def _cost_of_a_call() -> float:
    clock = StageClock()
    empty = clock.wrap("send", lambda: None)
    start = time.thread_time()
    for _ in range(CALIBRATION):
        empty()
    return (time.thread_time() - start) / CALIBRATION


class TimedGateway:
    """A gateway whose work is counted as sending; it records how much is in flight when."""

    def __init__(self, gateway: Any, clock: StageClock | None) -> None:
        self._gateway = gateway
        self.in_flight_at: list[tuple[float, int]] = []
        submit, poll = gateway.submit, self._poll
        self.submit = clock.wrap("send", submit) if clock else submit
        self.poll = clock.wrap("send", poll) if clock else poll

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    def _poll(self, timeout: float) -> Any:
        self.in_flight_at.append((time.monotonic(), self._gateway.in_flight()))
        return self._gateway.poll(timeout)


def install_clocks(context: WorkerContext, clock: StageClock | None) -> TimedGateway:
    """Wrap every stage of this process; without a clock, only record what is in flight."""
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
            (Flush, "begin", "flush"),
        ):
            setattr(owner, name, clock.wrap(stage, getattr(owner, name)))
    return gateway
