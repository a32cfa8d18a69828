"""Parts that are there and do not do their work: silent connections, a hanging token server, a
broker that refuses, a proxy that stands before everybody."""

import os
import secrets
import shutil
import subprocess
import time

import httpx
import pytest

from service.demo import programs
from service.demo.servers import free_port
from service.domain.people import Role
from service.http.limits.rate_limit import Throttle
from service.store.session import transaction
from service.store.staff import accounts
from service.web.newsroom.sign_in_limits import FAILURES_PER_MINUTE
from tests.redis_refusals import REFUSALS, refusal

REFUSAL_S = float(os.environ.get("REDIS_REFUSES_S", "2"))
"""How long Redis refuses in each of its ways; 120 for the long form."""
GUESSES = int(os.environ.get("SIGN_IN_GUESSES", "3"))
"""Of the thirty wrong passwords, how many are really sent."""
BREAKABLE = {"goaway": 1_000_000}
"""Weather that harms nobody; the servers under it can break connections."""


def accepted_by_provider(report):
    return {name: totals["accepted"] for name, totals in report["by_provider"].items()}


@pytest.mark.timeout(120)
def test_deaf_connections_to_all_five_providers_lose_no_push(system, people):
    people.crowd(dict.fromkeys(("apns", "fcm", "hms", "expo"), 30))
    reader = people.reader()
    browser = people.browser()
    reader.registers("webpush", browser["address"], keys=browser["keys"])
    reader.follows(people.topic)
    reached = {"apns": 30, "fcm": 30, "hms": 30, "expo": 30, "webpush": 1}
    system.weather(**BREAKABLE)
    warm = system.send(system.ingest(topics=[people.topic]))
    assert accepted_by_provider(system.finished(warm)) == reached
    system.control.post("/control/deafen").raise_for_status()
    alert = system.send(system.ingest(topics=[people.topic]))
    report = system.finished(alert, within_s=60)
    assert accepted_by_provider(report) == reached
    pushes = system.pushes(alert_id=alert["id"], limit=1)
    assert (pushes["count"], pushes["devices"]) == (121, 121)


@pytest.mark.timeout(120)
def test_a_hanging_token_server_delays_no_other_provider(system, people):
    people.crowd({"apns": 40, "fcm": 40})
    revoked = {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
    alone = system.finished(system.send(system.ingest(topics=[people.topic]), urgency="breaking"))
    system.weather(provider="fcm", address="/token", latency_ms=10_000)
    entry = {"status": 401, "body": revoked, "count": 1_000_000}
    system.weather(provider="fcm", script=[entry])
    alert = system.send(system.ingest(topics=[people.topic]), urgency="breaking")
    system.await_true(
        lambda: system.alert(alert)["by_provider"].get("apns", {}).get("accepted") == 40,
        "Apple's devices are served",
    )
    report = system.alert(alert)
    assert report["by_provider"]["fcm"]["accepted"] == 0
    assert report["timing"]["last_ms"] < 3 * alone["timing"]["last_ms"] + 2000
    system.control.delete("/control/weather").raise_for_status()
    assert system.finished(alert)["totals"]["accepted"] == 80


@pytest.mark.timeout(60 + int(REFUSAL_S) * 4)
@pytest.mark.parametrize("refuse", REFUSALS, ids=lambda refuse: refuse.__name__)
def test_a_broker_that_refuses_writes_loses_nothing(system, people, refuse):
    people.crowd({"apns": 500, "fcm": 500})
    story = system.ingest(topics=[people.topic])
    with refusal(system.redis(), refuse):
        alert = system.send(story)
        time.sleep(REFUSAL_S)
        assert all(process.poll() is None for process in system.running.values())
    report = system.finished(alert, within_s=60)
    assert report["totals"]["accepted"] == 1000
    pushes = system.pushes(alert_id=alert["id"], limit=1)
    assert (pushes["count"], pushes["devices"]) == (1000, 1000)


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
    {temporary}
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        # what stands before this nginx names the caller
        set_real_ip_from 127.0.0.1; real_ip_header X-Edge-Caller;
        location / {{
            proxy_pass http://127.0.0.1:{service};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


@pytest.fixture
def nginx(system, tmp_path):
    """The address of a real nginx before a service of its own, which trusts it."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port, service_port = free_port(), free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        NGINX.format(folder=tmp_path, temporary=temporary, port=port, service=service_port)
    )
    service = subprocess.Popen(
        programs.service("127.0.0.1", service_port).command,
        env=system.environment | {"NEWSZOP_TRUSTED_PROXIES": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    proxy = subprocess.Popen([program, "-p", tmp_path, "-e", "stderr", "-c", configuration])
    url = f"http://127.0.0.1:{port}"
    try:
        system.await_true(lambda: is_up(url), "the site answers through nginx")
        yield url
    finally:
        for process in (proxy, service):
            process.terminate()
            process.wait(20)


def is_up(url):
    try:
        return httpx.get(f"{url}/health/live").is_success
    except httpx.TransportError:
        return False


def test_thirty_wrong_passwords_behind_a_proxy_lock_only_their_caller_out(system, nginx):
    password = secrets.token_urlsafe(16)
    email = f"{secrets.token_hex(6)}@news.example"
    with transaction(system.engine) as session:
        accounts.add_staff(session, email, password, Role.EDITOR)

    def sign_in(caller, who, word, **headers):
        answer = httpx.post(
            f"{nginx}/login",
            data={"email": who, "password": word},
            headers={"X-Edge-Caller": caller, **headers},
        )
        return answer.status_code

    # each real guess costs a third of a second: most of the thirty are only counted
    throttle = Throttle(system.servers.redis_url)
    for _ in range(FAILURES_PER_MINUTE - GUESSES):
        throttle.hit("sign-in address", "203.0.113.7", FAILURES_PER_MINUTE)
    for n in range(GUESSES):
        # what a caller writes left of its address is not believed
        forged = {"X-Forwarded-For": f"198.51.100.{n}"}
        assert sign_in("203.0.113.7", f"nobody-{n}@news.example", "wrong", **forged) == 401
    assert sign_in("203.0.113.7", email, password) == 429
    assert sign_in("203.0.113.8", email, password) == 303
