"""The stand-ins as a process of their own, for tests and demos that push to them."""

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class StandinsProcess:
    """The running stand-ins; as a context manager they stop at its end."""

    control: str
    providers: dict[str, str]
    ca_file: str
    credentials: dict[str, str]
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """Stop them, by force if they take longer than `STOP_TIMEOUT_S`."""
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(data_dir: Path | str | None = None, port: int = 0) -> StandinsProcess:
    """Start the stand-ins and return once they can be reached; they end with this process.

    Without `data_dir` their keys, and so every subscription, are lost when they stop.
    """
    command = [sys.executable, "-m", "workers.standins", "--port", str(port), "--with-parent"]
    if data_dir is not None:
        command += ["--data", str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    line = process.stdout.readline() if process.stdout else ""
    try:
        announcement = json.loads(line)
    except ValueError:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        raise RuntimeError("the stand-ins did not start") from None
    return StandinsProcess(process=process, **announcement)
