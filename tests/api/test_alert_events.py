"""An alert's totals, live."""

import asyncio
import itertools
import json
import os
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, suppress

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from service.api import alert_events
from service.demo import programs
from service.domain.delivery import State
from service.domain.errors import NotFound, TooMany, Unavailable
from service.store.session import transaction
from tests import builders as a

SITE = "https://news.example"
CALLER = "key:1"
PENDING, ACCEPTED, CANCELLED = State.PENDING, State.ACCEPTED, State.CANCELLED


@pytest.fixture
def alert_id(engine: Engine):
    """A running alert with two deliveries, one of them open."""
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON)
        a.a_batch(session, alert, [PENDING, ACCEPTED])
        return alert.id


def change(engine, statement, **values):
    with transaction(engine) as session:
        session.execute(text(statement), values)


def finish(engine, state="finished"):
    change(engine, "UPDATE batch SET states = '\\x0202', counts = '{0,0,2,0,0,0,0}'")
    change(engine, "UPDATE alert SET state = :s", s=state)


async def watch(watches, alert_id):
    """Yield the reports that a watcher receives, with the time of each."""
    with watches.watching(alert_id, CALLER):
        async for event in watches.events(alert_id):
            if event.event is not None:
                assert event.event == "totals"
                yield time.monotonic(), json.loads(event.raw_data)


def test_totals_come_at_once_at_every_change_and_until_the_end(engine, alert_id):
    async def hear():
        heard = []
        async for _, alert in watch(alert_events.open_watches(engine, SITE), alert_id):
            heard.append((alert["state"], alert["totals"]["accepted"]))
            if len(heard) == 1:
                await asyncio.to_thread(finish, engine)
        return heard

    begun = time.monotonic()
    assert asyncio.run(hear()) == [("sending", 1), ("finished", 2)]
    assert time.monotonic() - begun < 1.5


def test_a_stopped_alert_is_reported_until_its_last_totals_have_settled(engine, alert_id):
    change(engine, "UPDATE alert SET state = 'stopped'")

    async def hear():
        heard = []
        async for _, alert in watch(alert_events.open_watches(engine, SITE), alert_id):
            heard.append(alert["totals"]["pending"])
            await asyncio.to_thread(finish, engine, "stopped")
        return heard

    assert asyncio.run(hear()) == [1, 0]


def test_a_watcher_hears_something_every_second_although_nothing_changes(engine, alert_id):
    async def hear():
        at = []
        async for now, _ in watch(alert_events.open_watches(engine, SITE), alert_id):
            at.append(now)
            if len(at) == 4:
                break
        return at

    at = asyncio.run(hear())
    assert max(later - sooner for sooner, later in itertools.pairwise(at)) <= 1


def test_fifty_watchers_cost_one_query_a_tick(engine, alert_id):
    watches = alert_events.open_watches(engine, SITE)
    reads, read = [], watches.read
    watches.read = lambda alert: (reads.append(alert), read(alert))[1]

    async def one():
        return [alert["state"] async for _, alert in watch(watches, alert_id)]

    async def all_of_them():
        watchers = [asyncio.create_task(one()) for _ in range(50)]
        await asyncio.sleep(1)
        await asyncio.to_thread(finish, engine)
        return await asyncio.gather(*watchers)

    begun = time.monotonic()
    heard = asyncio.run(all_of_them())
    ticks = (time.monotonic() - begun) / alert_events.TICK_S
    assert all(states[-1] == "finished" for states in heard)
    assert 4 <= len(reads) <= ticks + 2
    assert watches.watches == {}


def test_an_alert_without_watchers_is_not_read_any_more(engine, alert_id):
    watches = alert_events.open_watches(engine, SITE)

    async def leave():
        heard = asyncio.Event()

        async def hear():
            async for _ in watch(watches, alert_id):
                heard.set()

        watcher = asyncio.create_task(hear())
        await heard.wait()
        watcher.cancel()
        await asyncio.wait([watcher])

    asyncio.run(leave())
    assert watches.watches == {}


def test_a_watcher_stays_while_postgres_is_away(engine, alert_id):
    watches = alert_events.open_watches(engine, SITE)
    read, failures = watches.read, []

    def sometimes(alert):
        if failures and len(failures) < 4:
            failures.append(True)
            raise OperationalError("SELECT", {}, Exception("away"))
        return read(alert)

    watches.read = sometimes

    async def hear():
        heard = []
        async for _, alert in watch(watches, alert_id):
            heard.append(alert["state"])
            if not failures:
                failures.append(True)
                await asyncio.to_thread(finish, engine)
        return heard

    heard = asyncio.run(hear())
    assert heard[-1] == "finished"
    assert len(failures) == 4


def test_watchers_beyond_the_most_are_asked_to_come_again(engine, alert_id, monkeypatch):
    monkeypatch.setattr(alert_events, "MAX_WATCHERS", 1)
    watches = alert_events.open_watches(engine, SITE)
    one, another = watches.watching(alert_id, "one"), watches.watching(alert_id, "another")
    with one, pytest.raises(Unavailable), another:
        pass


def test_a_caller_that_opens_streams_without_end_leaves_the_others_theirs(engine, alert_id):
    watches, most = alert_events.open_watches(engine, SITE), alert_events.MOST_OF_ONE_CALLER
    with ExitStack() as streams:
        for _ in range(most):
            streams.enter_context(watches.watching(alert_id, "a broken program"))
        with pytest.raises(TooMany):
            streams.enter_context(watches.watching(alert_id, "a broken program"))
        streams.enter_context(watches.watching(alert_id, "an editor"))
    assert (watches.watches, watches.callers) == ({}, {})


def test_an_alert_nobody_sent_cannot_be_watched(engine):
    watches = alert_events.open_watches(engine, SITE)

    async def hear():
        return [event async for event in watch(watches, a.an_id())]

    with pytest.raises(NotFound):
        asyncio.run(hear())


def test_the_stream_of_an_ended_alert_says_its_totals_once_and_ends(
    client, engine, as_editor, alert_id
):
    finish(engine)
    answer = client.get(f"/api/alerts/{alert_id}/events", headers=as_editor)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-store" in answer.headers["cache-control"]
    retry, event, *rest = answer.text.split("\n\n")
    assert retry.startswith("retry: ")
    assert rest == [""]
    name, data = event.split("\n")
    assert name == "event: totals"
    report = client.get(f"/api/alerts/{alert_id}", headers=as_editor).json()
    assert json.loads(data.removeprefix("data: ")) == report


def test_a_stream_that_cannot_begin_is_a_problem(client, app, engine, as_editor, alert_id):
    unknown = client.get(f"/api/alerts/{a.an_id()}/events", headers=as_editor)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alert_events, "MAX_WATCHERS", 0)
        refused = client.get(f"/api/alerts/{alert_id}/events", headers=as_editor)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert app.state.alert_watches.watches == {}


def test_a_stream_has_no_turn_while_its_first_report_is_read(
    client, app, engine, as_editor, alert_id
):
    finish(engine)
    turns, watches, held = app.state.hot.turns, app.state.alert_watches, []
    limiters, read = (turns._newsrooms, turns._others), watches.read

    def note_turns(alert_id):
        held.append([limiter._held for limiter in limiters])
        return read(alert_id)

    watches.read = note_turns
    client.get(f"/api/alerts/{alert_id}/events", headers=as_editor)
    assert held[0] == [0, 0]


def test_a_watched_alert_is_forgotten_when_its_stream_ends(
    client, app, engine, as_editor, alert_id
):
    finish(engine)
    client.get(f"/api/alerts/{alert_id}/events", headers=as_editor)
    assert app.state.alert_watches.watches == {}


@pytest.fixture(scope="module")
def server(database_url, redis_server, tmp_path_factory):
    """The application behind the real server; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_server,
        "NEWSZOP_SECRET_KEY": "a secret that only tests know",
    }
    command = programs.service("127.0.0.1", port).command
    with (tmp_path_factory.mktemp("server") / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with suppress(httpx.TransportError):
                httpx.get(f"{address}/health/live", verify=False)  # or it loads authorities
                break
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def test_watchers_of_the_real_server_hear_every_second_until_the_end(
    server, engine, as_editor, alert_id
):
    def hear(at):
        path = f"{server}/api/alerts/{alert_id}/events"
        with httpx.stream("GET", path, headers=as_editor, timeout=5) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    at.append((time.monotonic(), json.loads(line.removeprefix("data: "))))

    heard = [[], [], []]
    watchers = [threading.Thread(target=hear, args=(at,)) for at in heard]
    for watcher in watchers:
        watcher.start()
    deadline = time.monotonic() + 10
    while min(map(len, heard)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    finish(engine)
    for watcher in watchers:
        watcher.join(5)
        assert not watcher.is_alive()
    for at in heard:
        assert at[-1][1]["state"] == "finished"
        assert len(at) >= 4
        assert max(b[0] - a[0] for a, b in itertools.pairwise(at)) < 1.5


def test_a_watcher_whose_key_is_revoked_hears_no_more(server, engine, as_editor, alert_id):
    path = f"{server}/api/alerts/{alert_id}/events"
    with httpx.stream("GET", path, headers=as_editor, timeout=5) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        change(engine, "UPDATE api_key SET revoked_at = now()")
        begin = time.monotonic()
        for _ in lines:
            assert time.monotonic() - begin < alert_events.WATCHER_CHECK_S + 5
    assert httpx.get(path, headers=as_editor).status_code == 401


def test_a_watcher_whose_session_was_closed_or_role_changed_hears_no_more(engine, alert_id):
    answers = iter([True, False])

    async def count_reports():
        watches = alert_events.open_watches(engine, SITE)
        with watches.watching(alert_id, CALLER):
            return [event async for event in watches.events(alert_id, lambda: next(answers))]

    begin = time.monotonic()
    asyncio.run(count_reports())
    assert time.monotonic() - begin < 2 * alert_events.WATCHER_CHECK_S + 5
    assert list(answers) == []


def test_a_watcher_may_stay_while_nobody_can_be_asked(engine, alert_id):
    def ask_postgres():
        raise OperationalError("SELECT", {}, Exception("away"))

    watches = alert_events.open_watches(engine, SITE)
    assert asyncio.run(watches.may_watch(ask_postgres))
