"""The command `newszop`: everything that is started from a shell.

A command's file is loaded when the command is named, or the list of all is: most need a second or
two for the database, the providers or the API, which the others should not wait for.
"""

import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from service.commands.output import Failed, say

PLACES = {
    "demo": "running:demo",
    "serve": "running:serve",
    "work": "running:work",
    "sweep": "running:sweep",
    "migrate": "database:migrate",
    "doctor": "running:doctor",
    "standins": "running:standins",
    "size": "size:size",
    "pause": "pauses:pause",
    "resume": "pauses:resume",
    "backup": "database:backup",
    "restore": "database:restore",
    "settings": "settings:print_settings",
    "staff": "staff:app",
    "key": "key:app",
    "app": "push_app:app",
    "readers": "readers:app",
    "story": "story:app",
    "alert": "alert:app",
    "source": "source:app",
    "topics": "source:topics_app",
    "alarm": "alarm:app",
    "deploy": "deploy:app",
}
"""Each command or group of commands: its file in `service/commands`, and its name there."""


class Commands(MutableMapping[str, Any]):
    """Click's commands by name, each built from its file when it is first looked up."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name, PLACES[name])
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


def _build(name: str, place: str) -> Any:
    file, _, attribute = place.partition(":")
    value = getattr(import_module(f"service.commands.{file}"), attribute)
    if isinstance(value, typer.Typer):
        command: Any = get_group(value)
        command.name = name
        return command
    single = typer.Typer(add_completion=False)
    single.command(name)(value)
    return get_command(single)


class Newszop(TyperGroup):
    """The command itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = Commands()


app = typer.Typer(
    name="newszop",
    cls=Newszop,
    help="A push service for newsrooms: a story comes in, Send Push, every device has it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
