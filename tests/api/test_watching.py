"""Prometheus' rules and Grafana's board ask for series that exist; each rule is in the runbook."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text

from service import deploy
from service.domain.delivery import State
from service.store.operations import heartbeats, process_leases
from tests.builders import a_batch, a_story, an_alert

FOLDER = Path(deploy.__file__).parent
GROUPS = yaml.safe_load((FOLDER / "alerts.rules.yml").read_text())["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
BOARD = json.loads((FOLDER / "grafana/dashboards/newszop.json").read_text())
EXPRESSIONS = [rule["expr"] for rule in RULES.values()] + [
    target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
]
SERIES = re.compile(r"(newszop_\w+)(?:\{([^}]*)\})?")


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
    return client.get("/metrics").text


def test_every_expression_finds_a_series_with_its_labels_after_an_alert(metrics):
    series = {}
    for name, labels in re.findall(r"^(newszop_\w+)(?:\{(.*)\})? \S+$", metrics, re.MULTILINE):
        series.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    for expression in EXPRESSIONS:
        names = SERIES.findall(expression)
        assert names
        for name, labels in names:
            assert name in series, expression
            assert set(re.findall(r'(\w+)(?:=~|!=|=)"', labels)) <= series[name], expression
        [groups] = re.findall(r"by \(([\w, ]+)\) \(newszop", expression) or [""]
        assert set(filter(None, groups.split(", "))) <= series[names[0][0]], expression


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
