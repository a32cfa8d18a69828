"""docker-compose.yml on a real engine: up, the first admin, an alert, scale, crashes, stop.

COMPOSE_DEVICES is how many devices each alert has (2,000; by hand 20,000). Skipped, saying why,
where there is neither an engine nor a way to start one.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.foreign.compose_stack import ADMIN, PARTS, WORKERS, ComposeStack, Engine
from tests.foreign.recovery import await_finish
from tests.journeys.people import People

pytestmark = [
    pytest.mark.foreign,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("compose"),
    pytest.mark.skipif(
        "SHORT" in os.environ, reason="the whole stack takes minutes: `make foreign` has it"
    ),
]

DEVICES = int(os.environ.get("COMPOSE_DEVICES", "2000"))
LATENCY_MS = 1500
RECOVERY_S = 30
"""How long an alert may stand still after a crash."""
FINISH_S = 120
PASSWORD = "correct horse battery staple"
TARGET = """
import urllib.request as u
token = open('/run/secrets/metrics').read().strip()
for host in ('worker-urgent', 'worker-normal', 'strangers', 'beat'):
    request = u.Request(f'http://{host}:9100/metrics', headers={'Authorization': f'Bearer {token}'})
    print(u.urlopen(request, timeout=5).read().decode())
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    engine = Engine()
    try:
        with ComposeStack(engine, tmp_path_factory.mktemp("compose")) as running:
            print(f"\nhealthy after {running.seconds_until_healthy:.1f} s")
            yield running
    finally:
        engine.close()


@pytest.fixture
def people(stack: ComposeStack) -> Iterator[People]:
    yield People(stack)
    stack.control.delete("/control/weather").raise_for_status()


def begin_alert(stack: ComposeStack, people: People) -> dict[str, object]:
    """Send an alert that takes a while, and return it when it is in the middle."""
    people.crowd({"apns": DEVICES // 2, "fcm": DEVICES - DEVICES // 2})
    stack.weather(latency_ms=LATENCY_MS)
    alert = stack.send(stack.ingest(topics=[people.topic]))
    stack.await_true(
        lambda: stack.alert(alert)["totals"]["accepted"] > DEVICES // 20, "the middle is reached"
    )
    return alert


def check_zeros(stack: ComposeStack, alert: dict[str, object], what: str, began_at: float) -> None:
    """Every device has its push, each delivery is accounted for; says how long that took."""
    gap = await_finish(stack, alert, FINISH_S)
    seconds = time.monotonic() - began_at
    pushes = stack.pushes(alert_id=alert["id"], limit=1)
    doubles = pushes["count"] - pushes["devices"]
    print(f"{what}: goes on after {gap:.1f} s, finished after {seconds:.1f} s, {doubles} twice")
    report = stack.alert(alert)
    totals = report["totals"]
    assert (report["state"], totals["planned"]) == ("finished", DEVICES)
    assert totals["accepted"] == pushes["devices"] == DEVICES
    assert gap < RECOVERY_S


def test_it_is_healthy_and_the_link_in_the_log_makes_the_first_admin(stack: ComposeStack) -> None:
    assert stack.is_healthy()
    log = stack.logs("migrate")
    [link] = re.findall(rf"{stack.url}/first-admin/[\w-]+", log)
    form = {"password": PASSWORD, "again": PASSWORD}
    with httpx.Client(base_url=stack.url, timeout=30) as browser:
        assert ADMIN in browser.get(link).text
        assert browser.post(link, data=form).headers["location"] == "/login"
        login = browser.post("/login", data={"email": ADMIN, "password": PASSWORD})
        assert login.status_code == 303
        assert browser.get("/control").status_code == 200
        assert browser.get(link).status_code == 404


def test_an_alert_reaches_a_device_and_the_proxy_keeps_the_metrics(
    stack: ComposeStack, people: People
) -> None:
    reader = people.reader()
    reader.registers("apns", "ab" * 32)
    reader.follows(people.topic)
    alert = stack.send(stack.ingest(topics=[people.topic]))
    assert stack.finished(alert)["totals"]["accepted"] == 1
    for path in ("/metrics", "/metrics?only=system", "/%6detrics", "/metrics/"):
        assert stack.api.get(path).status_code == 403, path
    text = stack.compose("exec", "-T", "api", "python3", "-ISc", TARGET)
    for series in (
        'newszop_push_verdicts_total{app="apns",verdict="accepted"}',
        'newszop_tasks_total{outcome="done",task="sweep"}',
        'newszop_beat_messages_total{outcome="sent"}',
    ):
        assert re.search(rf"^{re.escape(series)} [1-9]", text, re.MULTILINE), series


@pytest.mark.parametrize("part", ["migrate", "api", *WORKERS, "beat"])
def test_every_line_of_ours_is_one_json_object(stack: ComposeStack, part: str) -> None:
    lines = stack.log_lines(part)
    assert lines or part == "beat", "it writes of trouble only"
    for line in lines:
        assert {"timestamp", "level", "event"} <= json.loads(line).keys(), line


def test_more_replicas_take_part(stack: ComposeStack, people: People) -> None:
    stack.up("--scale", "api=2", "--scale", "worker-normal=3")
    stack.await_true(lambda: stack._count_workers() >= 5, "all workers show a sign of life", 90)
    began_at = time.monotonic()
    check_zeros(stack, begin_alert(stack, people), "more replicas", began_at)
    stack.up("--scale", "api=1", "--scale", "worker-normal=1")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_crashes_in_the_middle_costs_nobody_the_alert(
    stack: ComposeStack, people: People, part: str
) -> None:
    alert = begin_alert(stack, people)
    stack.crash(part)
    began_at = time.monotonic()
    check_zeros(stack, alert, f"crash of {part}", began_at)
    stack.await_true(stack.is_healthy, "all is healthy again", 120, lambda: str(stack.states()))


def test_a_stop_in_the_middle_drains_and_a_start_goes_on(
    stack: ComposeStack, people: People, tmp_path: Path
) -> None:
    alert = begin_alert(stack, people)
    began_at = time.monotonic()
    stack.compose("stop", "worker-urgent", "worker-normal", "strangers", "beat")
    print(f"\nstopped within {time.monotonic() - began_at:.1f} s")
    [(leased,)] = stack.query(
        "SELECT count(*) FROM batch WHERE lease_token IS NOT NULL AND claimable_at > now()"
    )
    assert leased == 0
    before = stack.pushes(alert_id=alert["id"], limit=1)
    assert before["count"] == before["devices"]
    stack.compose("stop", "api", "proxy", "redis", "postgres")
    began_at = time.monotonic()
    stack.up()
    print(f"up again within {time.monotonic() - began_at:.1f} s")
    check_zeros(stack, alert, "stop and start", began_at)
    after = stack.pushes(alert_id=alert["id"], limit=1)
    assert after["count"] == after["devices"]
