"""Programs that this process starts, watches, and never leaves running when it ends.

Every child leads its own process group, and on Linux the kernel signals it when this process dies,
even by kill -9 (`end_with_parent.py`). Its output goes to a bounded log, or where ours goes.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

STARTER = Path(__file__).parents[1] / "end_with_parent.py"
LOG_LIMIT = 4 * 1024 * 1024
"""Bytes of a log after which it becomes `<name>.log.1`, in place of the older one."""


class ChildFailed(Exception):
    """A child did not start. One line: which child, why, and where its log is."""


class Child:
    """One program. `stop` and `kill` end it with its group; it may be started again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        uid: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        folder: str | Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.environment = environment
        self.uid = uid
        self.stop_signal = stop_signal
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, stdin: bytes | None = None, stdout: int | None = None) -> None:
        """Start it from the main thread: the child ends when the thread that started it ends.

        `stdin` is written and closed; with `stdout=subprocess.PIPE` the caller reads its output.
        """
        with ExitStack() as stack:
            log = None
            if self.log is not None:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(self.log.open("ab"))
            self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                self._start_command(),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=log if stdout is None else stdout,
                stderr=log,
                env=None if self.environment is None else dict(self.environment),
                cwd=self.folder,
                start_new_session=True,
            )
        if stdin is not None and self.process.stdin is not None:
            with suppress(BrokenPipeError), self.process.stdin as pipe:
                pipe.write(stdin)

    def _start_command(self) -> list[str]:
        uid = "-" if self.uid is None else str(self.uid)
        starter = [sys.executable, "-I", "-S", str(STARTER)]
        return [*starter, str(os.getpid()), str(int(self.stop_signal)), uid, *self.command]

    @property
    def pid(self) -> int:
        """Its process id; the starter becomes the program by exec, so the id stays."""
        if self.process is None:
            raise ChildFailed(f"{self.name} has not been started")
        return self.process.pid

    @property
    def output(self) -> IO[bytes] | None:
        """Its output, when it was started with `stdout=subprocess.PIPE`."""
        return self.process.stdout if self.process else None

    def is_running(self) -> bool:
        """Whether it is alive."""
        return self.process is not None and self.process.poll() is None

    def wait(self, within_s: float) -> int | None:
        """Return its exit code, or None when it still runs after `within_s`."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(within_s) if self.process else None
        return None

    def ask_to_stop(self) -> None:
        """Send its stop signal and return at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def stop(self, within_s: float = 10.0) -> None:
        """Ask it to stop, wait, and end by force what is left of its group."""
        self.ask_to_stop()
        self.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """End it and its group by force, and forget its id, which the system may use again."""
        process, self.process = self.process, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                pipe.close()

    def failure(self, why: str) -> ChildFailed:
        """Return the error to raise, with the place of the log."""
        return ChildFailed(f"{self.name} {why}" + (f"; see {self.log}" if self.log else ""))

    def trim_log(self) -> None:
        """Keep the log within its limit: the child appends, so the file may be truncated."""
        with suppress(FileNotFoundError):
            if self.log is not None and self.log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)
