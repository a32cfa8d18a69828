"""Several processes run the tests that one process has collected (`pytest --processes 3`).

To collect takes 25 s of a core, most of it imports and the rewriting of assertions. Processes that
pytest-xdist starts do it each for itself; these are forked when it is done.

A file's tests run in one process, as its fixtures ask for. Files that share a running system share
a process too, so that fewer systems are started, and the rules share what they parse of the source;
these parts come first, since they take longest and no process should be left with one at the end.
"""

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Never

import pytest

PARTS = (
    "tests/journeys/",
    "tests/web/test_browser",
    "tests/chaos/",
    "tests/demo/test_demo.py",
    "tests/fuzz/",
    "tests/rules/",
)
"""Beginnings of paths: what begins alike is one part. The first that fits counts."""
Location = tuple[str, int | None, str]
NUMBER_BYTES = 2
"""A part's number in the pipe from which the processes take the parts."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, help="run the tests in so many processes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    processes = session.config.getoption("processes")
    if processes < 2 or session.config.option.collectonly or session.testsfailed:
        return None
    run_forked(session, processes)
    return True


def part_of(nodeid: str) -> str:
    """Return the part of which a test is: one of `PARTS`, or its file."""
    path = nodeid.partition("::")[0]
    return next((part for part in PARTS if path.startswith(part)), path)


def place(nodeid: str) -> int:
    """Return a test's place in the order of parts."""
    part = part_of(nodeid)
    return PARTS.index(part) if part in PARTS else len(PARTS)


def split_parts(items: list[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the items of each part, the parts in the order of the collection."""
    return [list(part) for _, part in groupby(items, key=lambda item: part_of(item.nodeid))]


def run_forked(session: pytest.Session, processes: int) -> None:
    """Run the session's items in so many forked processes; reports come as if it ran them."""
    parts = split_parts(session.items)
    source, sink = os.pipe()  # 64 KiB: it has room for the numbers of all parts
    for number in range(len(parts)):
        os.write(sink, number.to_bytes(NUMBER_BYTES, "big"))
    os.close(sink)
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # one for all
    children: dict[Connection, int] = {}
    for number in range(min(processes, len(parts))):
        ours, theirs = Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            for connection in (*children, ours):
                connection.close()
            _become_worker(session, number, take_items(source, parts), theirs)
        theirs.close()
        children[ours] = child
    try:
        _take_reports(session, children, source)
    finally:
        for child in children.values():  # only after an interruption
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
        os.close(source)


def take_items(source: int, parts: list[list[pytest.Item]]) -> Iterator[pytest.Item]:
    """Yield the tests of one part after another, until no part is left for any process."""
    while number := os.read(source, NUMBER_BYTES):
        yield from parts[int.from_bytes(number, "big")]


class ReportSender:
    """Sends what a process reports to the one that forked it."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self.config = config
        self.connection = connection

    def send(self, kind: str, value: Any) -> None:
        """Send one event; without anybody who takes it, end this process."""
        try:
            self.connection.send_bytes(pickle.dumps((kind, value)))
        except OSError:
            os._exit(1)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.send("start", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        serialize = self.config.hook.pytest_report_to_serializable
        self.send("report", serialize(config=self.config, report=report))

    def pytest_runtest_logfinish(self, nodeid: str, location: Location) -> None:
        self.send("finish", {"nodeid": nodeid, "location": location})

    def pytest_warning_recorded(
        self, warning_message: Any, when: str, nodeid: str, location: Location | None
    ) -> None:
        if when != "runtest":
            return  # a warning of the collection, which pytest tells every new plugin again
        what = {"warning_message": warning_message, "when": when}
        with suppress(TypeError, AttributeError, pickle.PicklingError):  # it may hold anything
            self.send("warning", what | {"nodeid": nodeid, "location": location})


def _become_worker(
    session: pytest.Session, number: int, items: Iterator[pytest.Item], connection: Connection
) -> Never:
    """Run items, send their reports, and end this process."""
    code = 1
    try:
        _separate(session.config, number)
        sender = ReportSender(session.config, connection)
        session.config.pluginmanager.register(sender)
        _run_items(session, items)
        sender.send("end", None)
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:  # noqa: BLE001 - whatever it is, this process must end here
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def _separate(config: pytest.Config, number: int) -> None:
    """Give this process what it must not share: a folder, captured output, no terminal.

    The attributes are pytest's own; pytest-xdist's processes set the first two as well.
    """
    config.workerinput = {"workerid": f"gw{number}"}  # type: ignore[attr-defined]
    factory = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = factory.getbasetemp() / f"process-{number}"
    factory._basetemp.mkdir()
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    terminal = config.pluginmanager.getplugin("terminalreporter")
    terminal._tw._file = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end


def _run_items(session: pytest.Session, items: Iterator[pytest.Item]) -> None:
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following


def _take_reports(session: pytest.Session, children: dict[Connection, int], source: int) -> None:
    """Give every report to this process's plugins, until all children have ended."""
    running: dict[Connection, str | None] = {}
    while children:
        for connection in wait(list(children)):
            assert isinstance(connection, Connection)
            try:
                kind, value = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError):  # the latter in the middle of a report
                _, status = os.waitpid(children.pop(connection), 0)
                last = running.get(connection, "a test process")
                if last is not None:
                    _report_end(session, last, status)
                continue
            if kind in ("start", "end"):
                running[connection] = value
            else:
                _report(session, kind, value)
        if session.shouldfail or session.shouldstop:
            while os.read(source, NUMBER_BYTES):
                pass  # nobody begins another part


def _report(session: pytest.Session, kind: str, value: Any) -> None:
    hook = session.config.hook
    if kind == "report":
        report = hook.pytest_report_from_serializable(config=session.config, data=value)
        hook.pytest_runtest_logreport(report=report)
    elif kind == "warning":
        hook.pytest_warning_recorded.call_historic(kwargs=value)
    else:
        hook.pytest_runtest_logfinish(**value)


def _report_end(session: pytest.Session, nodeid: str, status: int) -> None:
    """Report that a process has ended by itself; the rest of its part was not run."""
    why = f"the process ended with {os.waitstatus_to_exitcode(status)}; its part goes no further"
    report = pytest.TestReport(nodeid, (nodeid, None, nodeid), {}, "failed", why, "call")
    session.config.hook.pytest_runtest_logreport(report=report)
