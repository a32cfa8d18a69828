"""Prometheus' rules and Grafana's board ask for series that exist; each rule is in the runbook."""

import re
import shutil
import subprocess

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from service import feed_poller
from service.domain.delivery import State
from service.domain.verdict import Accepted
from service.metrics import definitions
from service.store.operations import heartbeats, process_leases
from tests.builders import a_batch, a_story, an_alert
from tests.watching import EXPRESSIONS, FOLDER, RULES, faults_of, series_of
from workers import counters


def count_a_push():
    tally = counters.AnswerTally()
    tally.verdicts["apns", Accepted] += 1
    tally.note_failure("apns", "not sent")
    tally.time_answer("apns", 0.0)
    tally.publish([("apns", 1)], at_once=True)
    for outcome in ("opened", "failed"):
        counters.CONNECTIONS.labels("apns", outcome).inc()


@pytest.fixture
def metrics(client, session):
    """The figures after an alert."""
    alert = an_alert(session, a_story(session), state="sending")
    a_batch(session, alert, [State.ACCEPTED, State.PENDING])
    session.execute(text("UPDATE batch SET started_at = now()"))
    done = an_alert(session, a_story(session), state="finished", dry_run=True, created_by="canary")
    session.execute(text("UPDATE alert SET finished_at = now() WHERE id = :id"), {"id": done.id})
    heartbeats.beat(session, "worker@host", ("urgent", "normal"))
    process_leases.take(session, process_leases.SWEEP, "host/1", 1)
    session.commit()
    client.get("/api/stories")
    count_a_push()
    others = generate_latest(counters.REGISTRY) + generate_latest(feed_poller.REGISTRY)
    return client.get("/metrics").text + others.decode()


def test_every_expression_finds_a_series_with_its_labels_after_an_alert(metrics):
    series = series_of(metrics)
    faults = {each: faults_of(each, series) for each in EXPRESSIONS}
    assert not {each: fault for each, fault in faults.items() if fault}


def test_an_expression_that_finds_nothing_is_noticed(metrics):
    series = series_of(metrics)
    for expression in (
        "newszop_nothing > 0",
        'newszop_up{part="kitchen"} == 0',
        "sum by (colour) (rate(newszop_tasks_total[5m]))",
    ):
        assert faults_of(expression, series)


def test_the_values_of_every_label_are_a_closed_set_or_what_an_admin_adds(metrics):
    suffix = re.compile("_(total|bucket|sum|count|created)$")
    for name, labels in series_of(metrics).items():
        closed = definitions.CLOSED.get(suffix.sub("", name), {})
        for label, values in labels.items():
            if label in closed:
                assert values <= set(closed[label]), (name, label)
            else:
                assert label in definitions.OPEN | {"le"}, (name, label)


def test_each_series_is_defined_in_the_one_file(metrics):
    known = {m.name for m in (*definitions.COUNTED, *definitions.TIMED, *definitions.STATE)}
    suffix = re.compile("_(total|bucket|sum|count|created)$")
    assert {suffix.sub("", name) for name in series_of(metrics)} == known


def test_a_replica_can_be_asked_for_its_own_counters_or_for_the_state_alone(client):
    client.get("/api/stories")
    own = client.get("/metrics", params={"only": "processes"}).text
    system = client.get("/metrics", params={"only": "system"}).text
    assert "newszop_http_requests_total{" in own
    assert "newszop_up" not in own
    assert "newszop_http_requests_total{" not in system
    assert "newszop_up" in system
    assert client.get("/metrics", params={"only": "half"}).status_code == 422


def test_every_rule_has_its_entry_in_the_runbook():
    entries = set(
        re.findall(r"^## (Newszop\w+)$", (FOLDER / "RUNBOOK.md").read_text(), re.MULTILINE)
    )
    assert entries == set(RULES)
    assert all(rule["annotations"]["summary"] for rule in RULES.values())


def test_prometheus_own_checker_takes_the_rules():
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool here (Debian: apt-get install prometheus)")
    for words in (("rules", "alerts.rules.yml"), ("config", "--syntax-only", "prometheus.yml")):
        answer = subprocess.run(
            [program, "check", *words], cwd=FOLDER, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
