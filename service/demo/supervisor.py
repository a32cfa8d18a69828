"""Keep a set of children alive until a person or the system asks us to stop."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from service.demo.child_processes import Child, ChildFailed

LOOK_EVERY_S = 0.25
DEATHS_PERIOD_S = 60.0
LONGEST_WAIT_S = 15.0
WRONG_START = 2
"""The exit code of a program of ours that was started wrongly: a bad setting, a bad option."""
MAX_WRONG_STARTS = 5
"""A child that ends so more often within the period is not started again: only we can mend it."""


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


@dataclass(slots=True)
class ChildRecord:
    """A child, what starts it again, and its deaths of the last minute with their exit codes."""

    child: Child
    restart: Callable[[], None]
    deaths: deque[tuple[float, int | None]] = field(default_factory=deque)
    start_at: float | None = None

    def note_death(self, code: int | None) -> float:
        """Note one more death; return the seconds until the next start: none after the first."""
        now = time.monotonic()
        self.deaths.append((now, code))
        while self.deaths[0][0] < now - DEATHS_PERIOD_S:
            self.deaths.popleft()
        wait = min(2.0 ** (len(self.deaths) - 2), LONGEST_WAIT_S) if len(self.deaths) > 1 else 0.0
        self.start_at = now + wait
        return wait

    @property
    def hopeless(self) -> bool:
        """Whether it was started wrongly again and again."""
        return [code for _, code in self.deaths].count(WRONG_START) > MAX_WRONG_STARTS


class Supervisor:
    """Watches children: a dead one is reported and started again, after waits that grow.

    What is outside of a child may be away for hours (a database, a broker), so nothing is given up
    for dying often. Only a child that says it was started wrongly is.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._records: dict[Child, ChildRecord] = {}

    def watch(self, child: Child, restart: Callable[[], None]) -> None:
        """Watch a running child; `restart` starts it again, or raises `ChildFailed`."""
        self._records[child] = ChildRecord(child, restart)

    def run_forever(self) -> None:
        """Watch until `Stop`; raises `ChildFailed` when one was started wrongly."""
        while True:
            for record in list(self._records.values()):
                self._look_after(record)
            time.sleep(LOOK_EVERY_S)

    def _look_after(self, record: ChildRecord) -> None:
        record.child.trim_log()
        if record.start_at is None and not record.child.is_running():
            self._note_end(record)
        if record.start_at is not None and time.monotonic() >= record.start_at:
            self._start_again(record)

    def _note_end(self, record: ChildRecord) -> None:
        child = record.child
        code = child.wait(0)
        child.kill()  # what is left of its group
        wait = record.note_death(code)
        if record.hopeless:
            raise child.failure(f"was started wrongly {MAX_WRONG_STARTS + 1} times within a minute")
        when = f"in {wait:.0f} s" if wait else "now"
        place = f"; see {child.log}" if child.log else ""
        self._say(f"{child.name} ended ({describe_exit(code)}) and is started again {when}{place}")

    def _start_again(self, record: ChildRecord) -> None:
        try:
            record.restart()
        except ChildFailed as failure:
            wait = record.note_death(None)
            self._say(f"{failure}; it is tried again in {wait:.0f} s")
        else:
            record.start_at = None


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
