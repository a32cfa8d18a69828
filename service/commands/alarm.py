"""`newszop alarm`: whether alarms reach anybody."""

import typer

from service.actions.operations.alarm_watch import send_test
from service.commands.output import Failed
from service.settings import SettingsError, load

app = typer.Typer(help="Alarms: whether they reach anybody.", no_args_is_help=True)


@app.callback()
def alarm() -> None:
    """Alarms: whether they reach anybody."""


@app.command("test")
def send_test_alarm() -> None:
    """Send a test alarm to every address of the settings, and say which of them took it."""
    try:
        results = send_test(load())
    except SettingsError as error:
        raise Failed(str(error)) from None
    if not results:
        raise Failed(
            "nobody is told: set NEWSZOP_ALARM_URLS, or NEWSZOP_SMTP_URL and NEWSZOP_ALARM_EMAILS"
        )
    for one in results:
        typer.echo(f"{one.target}: {one.fault or 'sent'}")
    if any(one.fault for one in results):
        raise Failed("not every address took it")
