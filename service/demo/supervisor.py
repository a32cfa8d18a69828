"""Keep a set of children alive until a person or the system asks us to stop."""

import signal
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from service.demo.child_processes import Child

LOOK_EVERY_S = 0.25
MAX_DEATHS = 5
DEATHS_PERIOD_S = 60.0
"""A child that dies more often within the period is not started again."""


class Stop(BaseException):
    """SIGINT or SIGTERM arrived: unwind, stopping everything that was started."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM raises `Stop`; later ones do nothing."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise Stop(number)

    handlers = {each: signal.signal(each, on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


class Supervisor:
    """Watches children: a dead one is reported and started again, up to `MAX_DEATHS`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._restart: dict[Child, Callable[[], None]] = {}
        self._deaths: dict[Child, deque[float]] = defaultdict(deque)

    def watch(self, child: Child, restart: Callable[[], None]) -> None:
        """Watch a running child; `restart` starts it again."""
        self._restart[child] = restart

    def run_forever(self) -> None:
        """Watch until `Stop`; raises `ChildFailed` when one will not stay alive."""
        while True:
            for child in list(self._restart):
                child.trim_log()
                if not child.is_running():
                    self._revive(child)
            time.sleep(LOOK_EVERY_S)

    def _revive(self, child: Child) -> None:
        code = child.wait(0)
        child.kill()  # what is left of its group
        now = time.monotonic()
        deaths = self._deaths[child]
        deaths.append(now)
        while deaths[0] < now - DEATHS_PERIOD_S:
            deaths.popleft()
        if len(deaths) > MAX_DEATHS:
            raise child.failure(f"ended {len(deaths)} times within a minute")
        where = f"; see {child.log}" if child.log else ""
        self._say(f"{child.name} ended ({describe_exit(code)}) and is started again{where}")
        self._restart[child]()


def describe_exit(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code is not None and code < 0:
        return f"by signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def stop_all(children: Sequence[Child], within_s: float) -> None:
    """Stop several at once: all are asked first, then waited for against one deadline."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + within_s
    for child in children:
        child.stop(max(0.05, deadline - time.monotonic()))
