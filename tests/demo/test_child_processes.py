"""Child processes: started, watched, with bounded logs, and never left behind."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from service.demo import child_processes
from service.demo import supervisor as supervising
from service.demo.child_processes import Child, ChildFailed
from service.demo.supervisor import (
    ChildRecord,
    Stop,
    Supervisor,
    describe_exit,
    stop_all,
    stoppable,
)

PARENT = """
import sys, time
from pathlib import Path
from service.demo.child_processes import Child
child = Child("sleeper", ["/bin/sleep", "60"], Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""


def shell(script: str, log: Path, **options) -> Child:
    return Child("script", ["/bin/sh", "-c", script], log, **options)


def is_gone(pid: int, within_s: float = 5) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux signals a child when its parent dies"
)
def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid, within_s=0.2)
        parent.kill()
    assert is_gone(pid)


def test_stopping_a_child_ends_its_own_children_too(tmp_path):
    child = shell("sleep 60 & echo $!; wait", tmp_path / "log")
    child.start(stdout=subprocess.PIPE)
    grandchild = int(child.output.readline())
    child.stop()
    assert is_gone(grandchild)
    assert not child.is_running()


def test_a_child_that_will_not_stop_is_ended_by_force(tmp_path):
    child = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done", tmp_path / "log")
    child.start(stdout=subprocess.PIPE)
    assert child.output.readline() == b"ready\n"
    started_at = time.monotonic()
    stop_all([child], within_s=0.3)
    assert 0.3 <= time.monotonic() - started_at < 5
    assert not child.is_running()


def test_a_log_is_cut_when_it_grows_too_long_and_the_child_writes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(child_processes, "LOG_LIMIT", 1000)
    log = tmp_path / "script.log"
    child = shell("i=0; while :; do echo line $i; i=$((i+1)); sleep 0.01; done", log)
    child.start()
    try:
        deadline = time.monotonic() + 10
        while not (tmp_path / "script.log.1").exists() and time.monotonic() < deadline:
            child.trim_log()
            time.sleep(0.01)
        assert (tmp_path / "script.log.1").stat().st_size > 1000
        time.sleep(0.1)
        assert 0 < log.stat().st_size < 1000
        assert b"\0" not in log.read_bytes()
    finally:
        child.stop()


def test_a_dead_child_is_reported_and_started_again(tmp_path):
    lines = []
    marks = tmp_path / "marks"
    child = shell(f"echo x >> {marks}; sleep 60", tmp_path / "log")
    child.start()
    supervisor = Supervisor(lines.append)
    supervisor.watch(child, child.start)

    def restart() -> None:
        child.start()
        raise Stop  # ends run_forever

    supervisor.watch(child, restart)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(Stop):
        supervisor.run_forever()
    assert child.is_running()
    child.stop()
    assert len(lines) == 1
    assert "script ended (by signal SIGKILL)" in lines[0]


def test_a_child_that_was_started_wrongly_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(supervising, "LONGEST_WAIT_S", 0.1)
    child = shell("exit 2", tmp_path / "log")
    child.start()
    supervisor = Supervisor(lambda _: None)
    supervisor.watch(child, child.start)
    with pytest.raises(ChildFailed, match="script was started wrongly 6 times"):
        supervisor.run_forever()


def test_a_child_that_dies_of_something_outside_is_started_again_for_as_long_as_it_lasts(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(supervising, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(supervising, "LOOK_EVERY_S", 0.01)
    child = shell("exit 1", tmp_path / "log")
    child.start()
    starts = itertools.count(1)

    def restart() -> None:
        match next(starts):
            case 12:
                raise Stop  # ends run_forever
            case number if number % 2:
                raise child.failure("did not answer")
            case _:
                child.start()

    supervisor = Supervisor(lambda _: None)
    supervisor.watch(child, restart)
    with pytest.raises(Stop):
        supervisor.run_forever()
    child.stop()


def test_the_waits_before_a_new_start_grow(tmp_path):
    record = ChildRecord(shell("exit 1", tmp_path / "log"), lambda: None)
    assert [record.note_death(1) for _ in range(7)] == [0, 1, 2, 4, 8, 15, 15]


def test_only_the_first_signal_counts():
    def unwind() -> None:
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(1)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # a second signal must not interrupt the stop
                time.sleep(0.05)

    with pytest.raises(Stop):
        unwind()


def test_the_end_of_a_child_is_described_in_words():
    assert describe_exit(-9) == "by signal SIGKILL"
    assert describe_exit(3) == "exit code 3"
