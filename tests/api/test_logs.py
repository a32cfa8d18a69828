"""Log lines: an id for each request, a line for each, and no flood of them."""

import asyncio
import contextvars
import io
import json
import logging
from contextlib import contextmanager, redirect_stderr

import pytest
import redis
import structlog
from prometheus_client import CollectorRegistry

from service.app import create_app
from service.http.metrics import Requests
from service.http.observed_requests import ObserveRequests
from service.log_floods import MOST, MOST_KINDS, PERIOD_S, LogFloods
from service.logs import configure_logging
from service.outbox import CeleryBroker, plan_alert
from tests.site_client import SiteClient


class Lines(list):
    """The lines that were logged, each an object."""

    def of(self, event):
        return [line for line in self if line["event"] == event]


@pytest.fixture
def logged():
    """Collects the lines of a block."""
    kept, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level

    @contextmanager
    def collect():
        stream, lines = io.StringIO(), Lines()
        with redirect_stderr(stream):
            configure_logging("info", "json")
            yield lines
        lines += [json.loads(line) for line in stream.getvalue().splitlines()]

    yield collect
    structlog.configure(**kept)
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def site(settings):
    """An application that writes the lines which `log_requests` asks for."""

    def make(log_requests):
        app = create_app(settings.model_copy(update={"log_requests": log_requests}))
        return SiteClient(app, raise_server_exceptions=False)

    return make


def test_a_plain_id_of_the_caller_is_kept_and_any_other_replaced(client):
    answer = client.get("/health/live", headers={"X-Request-ID": "desk-7.a_b"})
    assert answer.headers["x-request-id"] == "desk-7.a_b"
    for bad in ("a b", "", "x" * 65, 'a"b', "a;b"):
        own = client.get("/health/live", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert len(own) == 16
        assert own != bad


def test_each_request_has_one_line_with_its_route_and_nothing_of_a_person(site, logged):
    with logged() as lines, site("all") as client:
        token = client.post("/api/readers").json()["token"]
        mine = {"Authorization": f"Bearer {token}", "X-Request-ID": "abc"}
        client.get("/health/live")
        client.get("/api/stories/123456?q=secret", headers=mine)
    first, second = lines.of("request")
    assert (first["method"], first["route"], first["status"]) == ("GET", "/health/live", 200)
    assert (second["route"], second["status"]) == ("/api/stories/{story_id}", 404)
    assert second["request_id"] == "abc"
    assert second["ms"] > 0
    text = json.dumps(lines)
    for word in (token, "127.0.0.1", "123456", "secret"):
        assert word not in text


def test_failures_alone_are_written_by_default_and_nothing_when_it_is_off(site, logged):
    def fail():
        raise RuntimeError("no")

    for choice, count in (("failures", 1), ("off", 0)):
        with logged() as lines, site(choice) as client:
            client.app.get("/broken")(fail)
            client.get("/health/live")
            answer = client.get("/broken", headers={"X-Request-ID": "abc"})
        assert answer.status_code == 500
        assert [line["status"] for line in lines.of("request")] == [500] * count
        [fault] = lines.of("unexpected")
        assert (fault["request_id"], fault["route"]) == ("abc", "/broken")


def test_requests_that_share_a_context_as_those_of_the_server_do_mix_no_ids():
    seen, is_open = {}, asyncio.Event()

    async def app(scope, receive, send):
        await is_open.wait()
        own = structlog.contextvars.get_contextvars()["request_id"]
        in_thread = await asyncio.to_thread(structlog.contextvars.get_contextvars)
        seen[scope["path"]] = (own, in_thread["request_id"])

    async def run():
        site = ObserveRequests(app, Requests(CollectorRegistry()), "off")
        shared = contextvars.copy_context()
        calls = [
            asyncio.get_running_loop().create_task(
                site(
                    {
                        "type": "http",
                        "method": "GET",
                        "path": name,
                        "headers": [(b"x-request-id", name.encode())],
                    },
                    None,
                    None,
                ),
                context=shared,
            )
            for name in ("a", "b", "c")
        ]
        await asyncio.sleep(0)
        is_open.set()
        await asyncio.gather(*calls)

    asyncio.run(run())
    assert seen == {name: (name, name) for name in ("a", "b", "c")}


def test_the_id_of_a_request_goes_with_its_message_to_the_worker(redis_url):
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        CeleryBroker(redis_url).send(plan_alert(1, "normal"))
    [message] = redis.Redis.from_url(redis_url).lrange("normal", 0, -1)
    assert json.loads(message)["headers"]["request_id"] == "abc"


def test_the_same_warning_again_and_again_is_written_a_few_times_and_then_counted():
    now = [0.0]
    floods = LogFloods(lambda: now[0])
    assert [floods.admit("Redis is away") for _ in range(1000)] == [0] * MOST + [None] * (
        1000 - MOST
    )
    assert floods.admit("another") == 0
    now[0] = PERIOD_S
    assert floods.admit("Redis is away") == 1000 - MOST
    assert floods.admit("Redis is away") == 0


def test_kinds_of_lines_are_remembered_within_bounds():
    floods = LogFloods(lambda: 0.0)
    for number in range(3 * MOST_KINDS):
        floods.admit(f"kind {number}")
    assert len(floods._kinds) == MOST_KINDS


def test_a_library_that_repeats_itself_is_thinned_out_by_its_text_without_the_values(logged):
    with logged() as lines:
        for number in range(50):
            logging.getLogger("library").warning("retry %d", number)
            structlog.get_logger().warning("away", error="ConnectionError")
            structlog.get_logger().info("an alert", alert=number)
    assert len([line for line in lines if line.get("logger") == "library"]) == MOST
    assert len(lines.of("away")) == MOST
    assert len(lines.of("an alert")) == 50
