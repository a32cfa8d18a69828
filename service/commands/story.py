"""Stories from a shell: send one in, and its alert with it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from service.commands.alert import watch_to_the_end
from service.commands.api_client import Key, Url, open_api
from service.commands.output import Failed, say

app = typer.Typer(help="Stories from a shell.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Stories from a shell."""


@app.command()
def send(
    file: Annotated[
        Path | None,
        typer.Argument(help="The story as JSON, as POST /api/stories takes it; - reads it."),
    ] = None,
    headline: Annotated[str | None, typer.Option(help="Its headline.")] = None,
    body: Annotated[str | None, typer.Option(help="Its text, HTML or plain.")] = None,
    summary: Annotated[str | None, typer.Option(help="Its summary; an alert's words.")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="Several times for several.")] = None,
    language: Annotated[str | None, typer.Option(help="As in en or hi.")] = None,
    alert: Annotated[bool, typer.Option("--alert", help="Send its alert too.")] = False,
    urgency: Annotated[str, typer.Option(help="breaking, normal or quiet.")] = "normal",
    watch: Annotated[bool, typer.Option("--watch", help="Watch the alert to its end.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Send a story in, and with --alert push it to its followers. Options win over the file."""
    options = {"headline": headline, "body": body, "summary": summary, "language": language}
    story = _read(file) | {name: value for name, value in options.items() if value is not None}
    if topic:
        story["topics"] = topic
    service = open_api(url, key)
    result = service.call("POST", "/api/stories", story)
    say(f"Story {result['id']} is {result['outcome']}: {result['url']}")
    if alert or watch:
        path = f"/api/stories/{result['id']}/alerts"
        sent_alert = service.call("POST", path, {"urgency": urgency})
        say(f"Alert {sent_alert['id']} is {sent_alert['state']}: {sent_alert['url']}")
        if watch:
            watch_to_the_end(service, sent_alert["id"])


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        content = sys.stdin.read() if str(file) == "-" else file.read_text()
        story = json.loads(content)
    except (OSError, ValueError) as error:
        raise Failed(f"{file}: {error}") from None
    if not isinstance(story, dict):
        raise Failed(f"{file}: a story is a JSON object")
    return story
