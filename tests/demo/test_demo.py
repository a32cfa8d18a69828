"""`newszop demo` from outside: one command starts everything, and one signal ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.commands.output import Failed
from service.demo.servers import free_port
from service.metrics.recent_answers import FRESH_S

ROOT = Path(__file__).parents[2]
NEWSZOP = (sys.executable, "-c", "from service.cli import main; main()")


class DemoProcess:
    """A demo of its own on `folder`; the environment holds nothing but what is needed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self.start()

    def start(self) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            [*NEWSZOP, "demo"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "DATA": str(self.folder),
                "PORT": str(free_port()),
                "READERS": "120",
                **self.settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def await_ready(self) -> dict:
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops everything" in line:
                return json.loads((self.folder / "demo.json").read_text())
        raise AssertionError(f"ended with {self.process.wait()}: {self.output}")

    def family(self) -> list[psutil.Process]:
        """Every process that it started, and that those started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int = signal.SIGTERM) -> bool:
        """End it by a signal; whether it ended well and nothing is left of its family."""
        family = self.family()
        assert len(family) > 8
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process.stdout.close()
        assert code in (0, -signal.SIGKILL)
        return gone(family)


def gone(processes: list[psutil.Process], within_s: float = 30) -> bool:
    """Whether all of them end in time; a zombie that nobody has collected has ended."""
    deadline = time.monotonic() + within_s
    while any(is_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def get(url: str, **given: Any) -> httpx.Response:
    """Return an answer; just after its start the demo's processes still load.

    It needs no authorities: to load them takes 30 ms each time.
    """
    return httpx.get(url, timeout=30, verify=False, **given)


def await_finished(api: httpx.Client, alert: str) -> dict:
    for _ in range(600):
        report = api.get(f"/api/alerts/{alert}").raise_for_status().json()
        if report["state"] == "finished" and not report["totals"]["retrying"]:
            return report
        time.sleep(0.1)
    raise AssertionError(report)


def push(known: dict) -> tuple[str, dict]:
    """Send a new story's alert to everyone; returns its id and its report."""
    with httpx.Client(
        base_url=known["url"],
        headers={"Authorization": f"Bearer {known['editor']['key']}"},
        timeout=30,
    ) as api:
        draft = {"headline": "Rain at last", "body": "It rains."}
        story = api.post("/api/stories", json=draft).raise_for_status().json()
        sent = api.post(
            f"/api/stories/{story['id']}/alerts", json={"everyone": True, "urgency": "breaking"}
        )
        alert = sent.raise_for_status().json()["id"]
        return alert, await_finished(api, alert)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def only_demo(folder):
    started = DemoProcess(folder)
    started.await_ready()
    yield started
    if started.process.poll() is None:  # the last test ends it itself
        assert started.end()


@pytest.fixture
def running(only_demo):
    """The demo; started again where the test before, or the same one before, has ended it."""
    if only_demo.process.poll() is not None:
        only_demo.start()
        only_demo.await_ready()
    return only_demo


@pytest.fixture
def demo(running):
    return json.loads((running.folder / "demo.json").read_text())


def test_the_demos_file_says_all_and_is_private(demo, folder):
    assert {name: set(demo[name]) for name in ("admin", "editor", "ingester")} == {
        "admin": {"email", "password", "key"},
        "editor": {"email", "password", "key"},
        "ingester": {"key"},
    }
    assert set(demo) == {"url", "standins_url", "admin", "editor", "ingester"}
    assert (folder / "demo.json").stat().st_mode & 0o777 == 0o600


def test_an_alert_reaches_every_device_once(demo):
    alert, report = push(demo)
    totals = report["totals"]
    readers_of_other_languages = report["left_out"]["language"]
    assert totals["planned"] == totals["accepted"] == 120 - readers_of_other_languages
    pushes = get(f"{demo['standins_url']}/control/pushes?alert_id={alert}").json()
    assert pushes["count"] == pushes["devices"] == totals["accepted"] > 60
    assert len(report["by_provider"]) >= 3


def test_a_story_its_alert_and_its_report_come_from_the_shell_too(demo, folder):
    def newszop(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, arguments, env={"DATA": str(folder)})
        assert result.exception is None, result.exception
        return result.stdout.splitlines()

    story = ("--headline", "From a shell", "--body", "It works.", "--topic", "sport/tennis")
    said = newszop("story", "send", *story, "--alert", "--watch")
    alert = said[1].split()[1]
    assert said[0].startswith("Story ")
    assert any(line.startswith("finished: ") for line in said)
    row = newszop("alert", "show", alert)[-1].split("\t")
    assert int(row[1]) == int(row[4]) > 0
    assert newszop("alert", "watch", alert)[-1].split("\t") == row
    assert newszop("alert", "stop", alert, "--reason", "too late")[0].startswith(f"Alert {alert}")


def test_a_refusal_of_the_service_is_one_line(demo, folder):
    result = CliRunner().invoke(app, ["story", "send"], env={"DATA": str(folder)})
    assert isinstance(result.exception, Failed)
    assert "headline" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_the_demos_stories_are_there_in_their_scripts(demo):
    stories = get(f"{demo['url']}/api/stories").raise_for_status().json()["items"]
    headlines = "".join(story["headline"] for story in stories)
    for begin, end in (("\u0900", "\u097f"), ("\u0600", "\u06ff"), ("\u0400", "\u04ff")):
        assert any(begin <= letter <= end for letter in headlines)


def test_the_keys_may_do_what_their_roles_may(demo):
    def status(key: str, path: str) -> int:
        headers = {"Authorization": f"Bearer {demo[key]['key']}"}
        return get(f"{demo['url']}{path}", headers=headers).status_code

    assert status("admin", "/api/admin/queues") == 200
    assert status("editor", "/api/admin/queues") == 403
    assert status("editor", "/api/alerts") == 200
    assert status("ingester", "/api/alerts") == 403


def test_a_second_demo_on_the_same_folder_says_so_in_one_line(demo, folder):
    second = DemoProcess(folder)
    said = second.process.stdout.read()
    assert second.process.wait() == 1
    assert len(said.splitlines()) == 1
    assert "running already" in said


def test_a_taken_port_is_named_in_one_line(demo, tmp_path):
    other = DemoProcess(tmp_path, PORT=demo["url"].rpartition(":")[2])
    said = other.process.stdout.read()
    assert other.process.wait() == 1
    assert len(said.splitlines()) == 1
    assert "PORT" in said


@pytest.mark.parametrize("part", ["service.http.server", "valkey-server", "postgres -D"])
def test_a_part_that_dies_comes_back(demo, running, part):
    before = get(f"{demo['url']}/health/ready").status_code
    victims = [process for process in running.family() if part in " ".join(process.cmdline())]
    for victim in victims:
        victim.kill()
    assert gone(victims)
    fresh_at = time.monotonic() + FRESH_S  # a kept answer is from before
    deadline = fresh_at + 30
    after = 0
    while after != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
        is_fresh = time.monotonic() > fresh_at
        with suppress(httpx.TransportError):
            status = httpx.get(f"{demo['url']}/health/ready", verify=False).status_code
            after = status if is_fresh else 0
    assert victims
    assert before == after == 200


def test_a_later_start_finds_the_data_and_the_environment_wins_and_a_kill_leaves_nothing(
    demo, running
):
    alert, report = push(demo)
    assert running.end(signal.SIGINT)

    again = DemoProcess(running.folder, NEWSZOP_SITE_NAME="Kurier")
    try:
        now = again.await_ready()
        logins = ("admin", "editor", "ingester")
        assert [now[name] for name in logins] == [demo[name] for name in logins]
        headers = {"Authorization": f"Bearer {demo['admin']['key']}"}
        with httpx.Client(base_url=now["url"], headers=headers, timeout=30) as api:
            totals = api.get(f"/api/alerts/{alert}").json()["totals"]
            assert totals["accepted"] == report["totals"]["accepted"] > 60
            assert api.get("/openapi.json").json()["info"]["title"] == "Kurier Push"
        assert again.end(signal.SIGKILL)
    finally:
        again.process.kill()
