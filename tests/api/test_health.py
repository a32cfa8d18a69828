import asyncio
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import text

from service.api import health
from service.app import create_app
from service.demo.servers import free_port
from service.demo.valkey import Redis
from service.domain.delivery import State
from service.metrics.recent_answers import RecentAnswers
from service.store.migrate import migrate
from service.store.operations import heartbeats, process_leases
from tests.builders import a_batch, a_story, an_alert
from tests.site_client import SiteClient


def nobody_listens():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def without(settings):
    """The application with a part away."""
    opened = []

    def make(**changed):
        app = create_app(settings.model_copy(update=changed))
        app.state.recent_answers = RecentAnswers(fresh_s=0)
        client = SiteClient(app, raise_server_exceptions=False)
        opened.append(client.__enter__())
        return opened[-1]

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def without_postgres(without):
    return without(database_url=f"postgresql://postgres@127.0.0.1:{nobody_listens()}/x")


@pytest.fixture
def without_redis(without):
    return without(redis_url=f"redis://127.0.0.1:{nobody_listens()}/0")


def test_a_system_without_workers_is_ready_and_warns_of_what_is_absent(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["missing"] == []
    assert [w.split(":")[0] for w in answer.json()["warnings"]] == ["workers", "sweep", "canary"]


def show_life(session, *queues):
    """A worker takes from the queues, and the sweep makes its passes."""
    heartbeats.beat(session, "worker@host", queues)
    process_leases.take(session, process_leases.SWEEP, "host/1", 1)
    session.commit()


def silence(client):
    warnings = client.get("/health/ready").json()["warnings"]
    return [warning for warning in warnings if not warning.startswith("canary")]


def test_dead_workers_and_a_silent_sweep_are_seen_before_anything_is_sent(
    client, session, as_admin
):
    assert "nobody can send now" in silence(client)[0]
    show_life(session, "urgent", "normal")
    assert silence(client) == []
    session.execute(text("UPDATE worker SET last_seen = now() - interval '30 s'"))
    session.execute(text("UPDATE process_lease SET expires_at = now() - interval '40 s'"))
    session.commit()
    workers, sweep = silence(client)
    assert "nobody can send now" in workers
    assert "no pass for 4" in sweep
    queues = client.get("/api/admin/queues", headers=as_admin).json()
    assert [each.split(":")[0] for each in queues["warnings"]] == ["workers", "sweep"]
    show_life(session, "urgent")
    assert silence(client) == ["workers: none takes messages from the queue normal"]


def test_a_worker_that_cannot_send_is_seen_in_readiness_and_control(client, session, as_admin):
    show_life(session, "urgent", "normal")
    heartbeats.beat(session, "worker@host", ["urgent", "normal"], "apns: not sent: no route")
    session.commit()
    assert silence(client) == ["workers: nothing leaves worker@host: apns: not sent: no route"]
    queues = client.get("/api/admin/queues", headers=as_admin).json()
    assert [worker["trouble"] for worker in queues["workers"]] == ["apns: not sent: no route"]
    show_life(session, "urgent", "normal")
    assert silence(client) == []


def test_an_alert_that_nobody_plans_has_been_waiting_since_it_was_due(client, session, as_admin):
    due = datetime.now(UTC) - timedelta(seconds=90)
    an_alert(session, a_story(session), state="planning", created_at=due)
    show_life(session, "urgent")
    session.execute(text("UPDATE worker SET last_seen = now() - interval '50 s'"))
    session.commit()
    queues = client.get("/api/admin/queues", headers=as_admin).json()
    assert all(90 <= one["oldest_seconds"] < 120 for one in queues["providers"])
    metrics = client.get("/metrics").text
    assert 90 <= value(metrics, 'newszop_oldest_pending_seconds{app="apns",provider="apns"}') < 120
    assert value(metrics, 'newszop_workers{queue="urgent"}') == 0
    assert 50 <= value(metrics, 'newszop_worker_heartbeat_age_seconds{worker="worker@host"}') < 80
    assert value(metrics, "newszop_sweep_age_seconds") < 20


def test_a_canary_that_came_through_ends_the_warning(client, session):
    show_life(session, "urgent", "normal")
    alert = an_alert(session, a_story(session), state="finished", dry_run=True, created_by="canary")
    session.execute(text("UPDATE alert SET finished_at = now() WHERE id = :id"), {"id": alert.id})
    session.commit()
    assert client.get("/health/ready").json()["warnings"] == []
    session.execute(text("UPDATE alert SET finished_at = now() - interval '1 day'"))
    session.commit()
    assert client.get("/health/ready").json()["warnings"] != []


def test_postgres_away_is_named_while_the_process_lives(without_postgres):
    assert without_postgres.get("/health/live").status_code == 200
    answer = without_postgres.get("/health/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["Postgres"])
    assert answer.headers["Retry-After"]


def test_redis_away_is_named(without_redis):
    answer = without_redis.get("/health/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["Redis"])


@pytest.fixture
def own_redis(tmp_path):
    """A Redis of this test's own, to be changed at will."""
    server = Redis(tmp_path / "redis", tmp_path, free_port(), "secret-of-the-test")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("setting", ["replicaof", "min-replicas-to-write"])
def test_a_redis_that_refuses_writes_is_missing_until_it_takes_them_again(
    without, own_redis, setting
):
    url = f"{own_redis.server_url}/0"
    client = without(redis_url=url)
    assert client.get("/health/ready").status_code == 200
    with redis.Redis.from_url(url) as admin:
        if setting == "replicaof":
            admin.replicaof("127.0.0.1", 1)
        else:
            admin.config_set(setting, 1)
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["missing"]) == (503, ["Redis"])
        assert value(client.get("/metrics").text, 'newszop_up{part="broker"}') == 0
        if setting == "replicaof":
            admin.replicaof("NO", "ONE")
        else:
            admin.config_set(setting, 0)
    assert client.get("/health/ready").status_code == 200
    assert value(client.get("/metrics").text, 'newszop_up{part="broker"}') == 1


def test_missing_migrations_are_named(client, session):
    kept = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    session.commit()
    try:
        answer = client.get("/health/ready")
    finally:
        session.execute(text("UPDATE alembic_version SET version_num = :kept"), {"kept": kept})
        session.commit()
    assert (answer.status_code, answer.json()["missing"]) == (503, ["migrations"])


def test_a_schema_of_a_newer_release_is_no_reason_to_leave_service(client, session, database_url):
    kept = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    session.commit()
    try:
        answer = client.get("/health/ready")
        migrate(database_url)
        left = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    finally:
        session.execute(text("UPDATE alembic_version SET version_num = :kept"), {"kept": kept})
        session.commit()
    assert (answer.status_code, answer.json()["missing"], left) == (200, [], "9999")


def test_calls_without_postgres_are_told_to_try_again(without_postgres):
    for answer in (
        without_postgres.get("/api/stories"),
        without_postgres.get("/api/admin/queues", headers={"Authorization": "Bearer nzp_a_b"}),
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]


def test_a_story_comes_in_while_redis_is_away(without_redis, as_ingester):
    answer = without_redis.post(
        "/api/stories", json={"headline": "h", "body": "b"}, headers=as_ingester
    )
    assert answer.status_code == 201


def test_queues_without_redis_are_unknown_and_the_rest_is_there(without_redis, as_admin):
    answer = without_redis.get("/api/admin/queues", headers=as_admin)
    assert [q["messages"] for q in answer.json()["queues"]] == [None, None, None]


def value(metrics, line):
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else None


def test_prometheus_reads_what_waits_and_what_was_answered(client, session):
    alert = an_alert(session, a_story(session), state="sending")
    a_batch(session, alert, [State.PENDING] * 4)
    session.execute(text("INSERT INTO hold (provider, reason, held_by) VALUES ('fcm', 'x', 'y')"))
    session.commit()
    client.get("/api/stories/1")
    client.request("MADE-UP", "/nowhere")
    metrics = client.get("/metrics").text
    route = 'method="GET",route="/api/stories/{story_id}"'
    assert value(metrics, f'newszop_http_requests_total{{{route},status="404"}}') == 1
    assert value(metrics, 'newszop_deliveries{app="apns",provider="apns",state="pending"}') == 4
    assert value(metrics, 'newszop_held{app="fcm",provider="fcm"}') == 1
    assert value(metrics, 'newszop_held{app="apns",provider="apns"}') == 0
    assert value(metrics, 'newszop_alerts{state="sending"}') == 1
    assert value(metrics, 'newszop_queue_messages{queue="urgent"}') == 0
    assert value(metrics, 'newszop_up{part="postgres"}') == 1
    assert 'method="other"' in metrics
    assert "MADE-UP" not in metrics


def test_metrics_are_for_those_who_have_the_token(without):
    client = without(metrics_token="a token of Prometheus")
    assert client.get("/metrics").status_code == 401
    for credentials in ("Bearer another", "a token of Prometheus", "Bearer "):
        assert client.get("/metrics", headers={"Authorization": credentials}).status_code == 401
    headers = {"Authorization": "Bearer a token of Prometheus"}
    assert client.get("/metrics", headers=headers).status_code == 200


def test_metrics_say_what_is_away(without_postgres, without_redis):
    assert value(without_postgres.get("/metrics").text, 'newszop_up{part="postgres"}') == 0
    metrics = without_redis.get("/metrics").text
    assert value(metrics, 'newszop_up{part="broker"}') == 0
    assert value(metrics, 'newszop_up{part="postgres"}') == 1


def test_a_flood_of_monitoring_shares_one_answer_to_each_question(app, monkeypatch):
    questions = []

    def answer_slowly():
        questions.append(1)
        time.sleep(0.2)

    monkeypatch.setattr(health, "collect_gauges", lambda *_: answer_slowly() or b"")
    monkeypatch.setattr(health, "_warnings", lambda *_: answer_slowly() or [])
    app.state.recent_answers = RecentAnswers(fresh_s=60)  # however slow this machine is
    with SiteClient(app) as client, ThreadPoolExecutor(40) as callers:
        paths = ["/metrics", "/health/ready"] * 40
        statuses = set(callers.map(lambda path: client.get(path).status_code, paths))
    assert statuses == {200}
    assert len(questions) == 2


def test_an_answer_of_monitoring_is_never_older_than_a_second():
    numbers = iter(range(10))
    recent = RecentAnswers(fresh_s=0.05)

    async def ask():
        return await recent.ask("a question", lambda: next(numbers))

    async def main():
        first = [await ask(), await ask()]
        await asyncio.sleep(0.06)
        return first, await asyncio.gather(*[ask() for _ in range(5)])

    assert asyncio.run(main()) == ([0, 0], [1] * 5)


def test_a_question_of_monitoring_that_failed_is_asked_again():
    outcomes = iter([lambda: 1 / 0, lambda: "an answer"])
    recent = RecentAnswers()

    async def main():
        with pytest.raises(ZeroDivisionError):
            await recent.ask("a question", next(outcomes))
        return await recent.ask("a question", next(outcomes))

    assert asyncio.run(main()) == "an answer"


def test_the_interface_describes_itself(client):
    described = client.get("/openapi.json").json()
    assert "/api/stories" in described["paths"]
    for path, calls in described["paths"].items():
        for method, call in calls.items():
            assert call.get("summary"), (path, method)


def test_the_docs_need_nobody_elses_server(client):
    page = client.get("/docs")
    assert page.status_code == 200
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert address.startswith("/")
        assert client.get(address).status_code == 200
