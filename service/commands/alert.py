"""Alerts on their way: look at one, watch it, stop it."""

import time
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from service.commands.api_client import Api, Key, Url, open_api
from service.commands.output import is_terminal, print_table, say

LOOK_EVERY_S = 0.5
STATES = ("planned", "pending", "retrying", "accepted", "gone", "expired", "buried", "cancelled")
FINAL = {"finished", "stopped", "expired"}

app = typer.Typer(help="Alerts on their way: look at one, watch it, stop it.", no_args_is_help=True)
AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")]


@app.command()
def show(alert_id: AlertId, url: Url = None, key: Key = None) -> None:
    """Show an alert's totals, altogether and by provider."""
    print_report(open_api(url, key).call("GET", f"/api/alerts/{alert_id}"))


@app.command()
def watch(alert_id: AlertId, url: Url = None, key: Key = None) -> None:
    """Watch an alert until it is finished."""
    watch_to_the_end(open_api(url, key), alert_id)


@app.command()
def stop(
    alert_id: AlertId,
    reason: Annotated[str | None, typer.Option(help="Why, for those who read it later.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Stop an alert at once; what was accepted stays accepted, the rest is cancelled."""
    body = {"reason": reason} if reason else None
    answer = open_api(url, key).call("POST", f"/api/alerts/{alert_id}/stop", body)
    say(f"Alert {alert_id} is {answer.get('state', 'stopped')}.")


@app.command("continue")
def go_on(alert_id: AlertId, url: Url = None, key: Key = None) -> None:
    """Let an alert of a restored backup go on; `stop` ends it."""
    answer = open_api(url, key).call("POST", f"/api/alerts/{alert_id}/continue")
    say(f"Alert {alert_id} is {answer.get('state', 'sending')}.")


def watch_to_the_end(service: Api, alert_id: str) -> None:
    """Show progress, a bar on a terminal and a line a change elsewhere; at the end the report."""
    report = service.call("GET", f"/api/alerts/{alert_id}")
    if is_terminal():
        report = _watch_bar(service, alert_id, report)
    else:
        report = _watch_lines(service, alert_id, report)
    print_report(report)


def print_report(report: dict[str, Any]) -> None:
    """Print an alert: what it says, how far it is, how fast it went."""
    say(f"{report['state']}: {report['title']} — {report['body']}".rstrip(" —"))
    say(_timing(report["timing"]))
    if report.get("spread_seconds"):
        say(f"It leaves evenly over {report['spread_seconds']} s.")
    if report.get("local_time"):
        say(f"It leaves at {report['local_time']} where each reader is.")
    for release in report.get("releases", [])[:1]:
        say(f"Next: {release['zone']} at {release['leaves_at']}, {release['devices']} devices.")
    rows = [("all", *_counts(report["totals"]))]
    rows += [(name, *_counts(totals)) for name, totals in report["by_provider"].items()]
    if not is_terminal():
        say("\t".join(("provider", *STATES)))
    print_table(("provider", *STATES), rows)
    for name, cause in report.get("causes", {}).items():
        say(f"{name}: the last attempts failed: {cause}")


def _watch_bar(service: Api, alert_id: str, report: dict[str, Any]) -> dict[str, Any]:
    text = TextColumn("{task.description}")
    bars = Progress(text, BarColumn(), TextColumn("{task.completed:,} of {task.total:,}"))
    task = bars.add_task("", total=None)
    with Live(bars, refresh_per_second=8) as live:
        while True:
            done, planned = _done(report), report["totals"]["planned"]
            bars.update(task, description=report["state"], completed=done, total=max(1, planned))
            live.update(_screen(bars, report))
            if _is_over(report):
                return report
            time.sleep(LOOK_EVERY_S)
            report = service.call("GET", f"/api/alerts/{alert_id}")


def _screen(bars: Progress, report: dict[str, Any]) -> Table:
    screen = Table.grid()
    screen.add_row(bars)
    for name, totals in report["by_provider"].items():
        screen.add_row(f"  {name:<8} {_sentence(totals)}")
    return screen


def _watch_lines(service: Api, alert_id: str, report: dict[str, Any]) -> dict[str, Any]:
    last_line = ""
    while True:
        line = f"{report['state']}: {_sentence(report['totals'])}"
        if line != last_line:
            say(line)
            last_line = line
        if _is_over(report):
            return report
        time.sleep(LOOK_EVERY_S)
        report = service.call("GET", f"/api/alerts/{alert_id}")


def _is_over(report: dict[str, Any]) -> bool:
    totals = report["totals"]
    return report["state"] in FINAL and not totals["pending"] and not totals["retrying"]


def _done(report: dict[str, Any]) -> int:
    totals = report["totals"]
    done: int = totals["planned"] - totals["pending"] - totals["retrying"]
    return done


def _sentence(totals: dict[str, int]) -> str:
    parts = [f"{totals[state]:,} {state}" for state in STATES[1:] if totals[state]]
    return f"{totals['planned']:,} planned: " + (", ".join(parts) or "nothing yet")


def _counts(totals: dict[str, int]) -> tuple[str, ...]:
    return tuple(str(totals[state]) for state in STATES)


def _timing(timing: dict[str, int | None]) -> str:
    values = {name: value for name, value in timing.items() if value is not None}
    shown = ", ".join(f"{name.removesuffix('_ms')} {value:,} ms" for name, value in values.items())
    return f"accepted: {shown}" if shown else "nothing accepted yet"
