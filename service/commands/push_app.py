"""Apps: the places that alerts are pushed through."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from service.actions import sources as source_actions
from service.actions.apps import app_administration as app_actions
from service.actions.apps.app_administration import AppChange, AppStatus
from service.commands import store_access
from service.commands.output import Failed, print_table, say
from service.commands.settings import read_settings
from service.domain.errors import Invalid
from service.domain.people import Caller, Scope
from service.outbox import CeleryBroker
from service.settings import Settings
from service.unit_of_work import UnitOfWork, unit_of_work

app = typer.Typer(help="The places that alerts are pushed through.", no_args_is_help=True)
COMMAND_LINE = Caller(
    name=store_access.WHO, label=store_access.WHO, scopes=frozenset({Scope.ADMIN})
)
FORM = "name=value, or name=@file for the text of a file"
Name = Annotated[str, typer.Argument(help="The app's name.")]
Credentials = Annotated[
    list[str] | None, typer.Option("--credential", help=f"A secret: {FORM}; several times.")
]
Options = Annotated[list[str] | None, typer.Option("--option", help=f"{FORM}; several times.")]
Origins = Annotated[
    list[str] | None, typer.Option("--origin", help="A site of a web app; several times.")
]


@app.command()
def add(
    name: Name,
    provider: Annotated[str, typer.Argument(help="apns, fcm, webpush, hms or expo.")],
    credential: Credentials = None,
    option: Options = None,
    origin: Origins = None,
) -> None:
    """Add an app. Its credentials are sealed and cannot be shown again."""
    change = AppChange(
        credentials=_read_pairs(credential),
        options=_read_pairs(option),
        origins=tuple(origin) if origin else None,
    )
    with _work() as (work, settings):
        app_actions.add_app(work, settings.seal_keys, name, provider, change, COMMAND_LINE)
    say(f"The app {name} pushes through {provider}.")


@app.command("list")
def list_() -> None:
    """List the apps: each provider's default app first."""
    with _work() as (work, settings):
        rows = [_row(each) for each in app_actions.list_apps(work, settings)]
    print_table(("Name", "Provider", "Devices", "State", "Sites"), rows)


@app.command()
def show(name: Name) -> None:
    """Show an app without its credentials."""
    with _work() as (work, settings):
        status = app_actions.show_app(work, settings, name)
    place = "sealed" if status.has_credentials else "from the environment"
    if status.credentials_at:
        place += f", given {status.credentials_at:%Y-%m-%d}"
    print_table(
        ("Of the app", name),
        [
            ("provider", status.provider),
            ("credentials", place),
            *sorted((key, str(value)) for key, value in status.options.items()),
            ("sites", " ".join(status.origins)),
            ("devices", status.devices),
            ("stale devices", status.stale_devices),
            ("state", _state(status)),
        ],
    )


@app.command()
def rotate(
    name: Name, credential: Credentials = None, option: Options = None, origin: Origins = None
) -> None:
    """Give an app new credentials, options or sites; running alerts go on with them."""
    change = AppChange(
        credentials=_read_pairs(credential),
        options=_read_pairs(option),
        origins=tuple(origin) if origin else None,
    )
    with _work() as (work, settings):
        app_actions.change_app(work, settings, name, change, COMMAND_LINE)
    say(f"The app {name} is changed.")


@app.command()
def disable(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Push through it again.")] = False,
) -> None:
    """Push nothing more through an app; its devices stay, its deliveries wait or expire."""
    with _work() as (work, settings):
        app_actions.change_app(work, settings, name, AppChange(disabled=not undo), COMMAND_LINE)
    say(f"The app {name} is {'in use again' if undo else 'disabled'}.")


@app.command()
def reseal() -> None:
    """Seal all secrets, of apps and sources, with the present key before an earlier one goes."""
    with _work() as (work, settings):
        keys = settings.seal_keys
        names = app_actions.reseal_apps(work, keys, COMMAND_LINE)
        names += source_actions.reseal_sources(work, keys, COMMAND_LINE)
    say(f"Sealed again: {', '.join(names)}." if names else "Nothing was sealed by an earlier key.")


@contextmanager
def _work() -> Iterator[tuple[UnitOfWork, Settings]]:
    settings = read_settings()
    broker = CeleryBroker(settings.broker)
    with store_access.store() as engine:
        try:
            with unit_of_work(engine, broker) as work:
                yield work, settings
        except Invalid as refusal:
            raise Failed(f"{refusal.field}: {refusal.detail}") from None


def _read_pairs(pairs: list[str] | None) -> dict[str, Any] | None:
    """Return values by name; a name that comes several times is a list."""
    if not pairs:
        return None
    lists: dict[str, list[Any]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise Failed(f"{pair[:40]!r} is not {FORM}")
        lists.setdefault(name, []).append(_read_value(value))
    return {name: values[0] if len(values) == 1 else values for name, values in lists.items()}


def _read_value(value: str) -> Any:
    if value.startswith("@"):
        try:
            return Path(value[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"{value[1:]} cannot be read ({type(error).__name__})") from None
    return json.loads(value) if value.isdigit() else value


def _row(status: AppStatus) -> tuple[object, ...]:
    return (
        status.name,
        status.provider,
        f"{status.devices:,}",
        _state(status),
        " ".join(status.origins),
    )


def _state(status: AppStatus) -> str:
    if status.disabled:
        return "disabled"
    if status.reason:
        return f"held: {status.reason}" if status.held else status.reason
    return "in use"
