"""Readers in bulk: made-up ones for trials, real ones from a file."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands import store_access
from service.commands.output import Failed, progress, say
from service.demo import contents
from service.store.readers import seeding

MAX_COMPLAINTS = 100

app = typer.Typer(help="Readers in bulk.", no_args_is_help=True)


@app.command()
def seed(
    readers: Annotated[int, typer.Option(min=1, help="How many to make.")] = 1000,
    devices: Annotated[float, typer.Option(min=0.0, help="Devices a reader, on average.")] = 1.0,
    topics: Annotated[float, typer.Option(min=0.0, help="Topics a reader, on average.")] = 4.0,
    dice: Annotated[int, typer.Option("--seed", help="The same seed makes the same readers.")] = 0,
    standins: Annotated[
        str | None,
        typer.Option(
            envvar="NEWSZOP_STANDINS_URL", help="Control API of the stand-ins; else no browsers."
        ),
    ] = None,
) -> None:
    """Make readers with devices and subscriptions; the same command again adds nothing."""
    url = store_access.settings().database_url
    mix = seeding.Mix(
        devices_per_reader=devices,
        topics_per_reader=topics,
        browsers=contents.browser_source(standins.rstrip("/")) if standins else None,
    )
    with store_access.store(), progress("Readers", readers) as report:
        count = seeding.seed(url, readers=readers, mix=mix, seed=dice, progress=report)
    say(f"{count:,} readers added.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="One JSON object a line.", exists=True)],
) -> None:
    """Take readers in from a file, one JSON object a line.

    {"provider", "address", "keys"?, "topics"?, "language"?, "timezone"?, "locale"?}: a known
    address renews its device, so a file may be read again. A wrong line is named and left out.
    """
    from service.commands import reader_import  # noqa: PLC0415 - half a second that no other command needs

    store_access.settings()
    complaints = 0

    def complain(line: int, why: str) -> None:
        nonlocal complaints
        complaints += 1
        if complaints <= MAX_COMPLAINTS:
            say(f"line {line}: {why}")

    size = file.stat().st_size
    with (
        store_access.store() as engine,
        file.open("rb") as lines,
        progress("Bytes", size) as report,
    ):
        tally = reader_import.import_readers(
            engine, lines, progress=lambda so_far: report(so_far.size), complain=complain
        )
    say(f"{tally.additions:,} readers added, {tally.renewals:,} renewed.")
    if tally.skips:
        raise Failed(f"{tally.skips:,} lines were left out")
