"""The command `newszop`: everything that is started from a shell."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from service.commands import (
    alarm,
    alert,
    backup,
    deploy,
    key,
    pauses,
    push_app,
    readers,
    running,
    size,
    source,
    staff,
    story,
)
from service.commands.output import Failed, say
from service.commands.settings import print_settings

app = typer.Typer(
    name="newszop",
    help="A push service for newsrooms: a story comes in, Send Push, every device has it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    running.demo,
    running.serve,
    running.work,
    running.sweep,
    running.migrate,
    running.doctor,
    running.standins,
    size.size,
    pauses.pause,
    pauses.resume,
    backup.backup,
    backup.restore,
):
    app.command()(command)
app.command("settings")(print_settings)
app.add_typer(staff.app, name="staff")
app.add_typer(key.app, name="key")
app.add_typer(push_app.app, name="app")
app.add_typer(readers.app, name="readers")
app.add_typer(story.app, name="story")
app.add_typer(alert.app, name="alert")
app.add_typer(source.app, name="source")
app.add_typer(source.topics_app, name="topics")
app.add_typer(alarm.app, name="alarm")
app.add_typer(deploy.app, name="deploy")


def _print_version(*, is_requested: bool) -> None:
    if is_requested:
        say(f"newszop {version('newszop')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=lambda value: _print_version(is_requested=value),
        ),
    ] = False,
) -> None:
    """Take what stands before a command."""
    del show_version


def main() -> None:
    """Run a command; an expected failure is one line and exit code 1."""
    try:
        app()
    except Failed as error:
        sys.stderr.write(f"newszop: {error}\n")
        sys.exit(1)
