"""What Prometheus' rules and Grafana's board ask for, held against a text of metrics."""

import json
import re
from pathlib import Path

import yaml

from service import deploy

FOLDER = Path(deploy.__file__).parent
GROUPS = yaml.safe_load((FOLDER / "alerts.rules.yml").read_text())["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
BOARD = json.loads((FOLDER / "grafana/dashboards/newszop.json").read_text())
EXPRESSIONS = [rule["expr"] for rule in RULES.values()] + [
    target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
]
SERIES = re.compile(r"(newszop_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"by \(([\w, ]+)\) \(+(?:rate|increase)?\(?(newszop_\w+)")


def series_of(metrics):
    """Return the values of each label of each series in a text of Prometheus'."""
    series = {}
    for name, labels in re.findall(r"^(newszop_\w+)(?:\{(.*)\})? \S+$", metrics, re.MULTILINE):
        values = series.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            values.setdefault(label, set()).add(value)
    return series


def faults_of(expression, series):
    """Return what an expression asks for in vain."""
    names = SERIES.findall(expression)
    faults = [] if names else ["it asks for nothing of ours"]
    for name, selector in names:
        labels = series.get(name)
        if labels is None:
            faults.append(f"no series {name}")
            continue
        for label, operator, value in MATCHER.findall(selector):
            if label not in labels or (operator == "=" and value not in labels[label]):
                faults.append(f'{name} has no {label}{operator}"{value}"')
    for grouping, name in GROUPING.findall(expression):
        absent = set(grouping.split(", ")) - series.get(name, {}).keys()
        faults += [f"{name} has no {label}" for label in absent]
    return faults
