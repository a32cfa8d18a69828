"""Readers in bulk: made-up ones for trials, real ones from a file."""

from pathlib import Path
from typing import Annotated

import typer

from service import demo_data
from service.commands import edge
from service.commands.telling import Failed, progress, say
from service.outbox import CeleryBroker
from service.store import seeding

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
    url = edge.settings().database_url
    mix = seeding.Mix(
        devices_per_reader=devices,
        topics_per_reader=topics,
        browsers=demo_data.browsers(standins.rstrip("/")) if standins else None,
    )
    with edge.store(), progress("Readers", readers) as tell:
        added = seeding.seed(url, readers=readers, mix=mix, seed=dice, progress=tell)
    say(f"{added:,} readers added.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="One JSON object a line.", exists=True)],
) -> None:
    """Take readers in from a file, one JSON object a line.

    Each is as POST /api/readers takes it, with "devices" as PUT /api/me/devices takes them and
    "follows", a list of topic paths. A wrong line is named and left out.
    """
    from service import arrivals  # noqa: PLC0415 - it takes half a second that no other command needs

    broker = CeleryBroker(edge.settings().redis_url)
    size = file.stat().st_size
    with edge.store() as engine, file.open("rb") as lines, progress("Bytes", size) as tell:
        found = arrivals.admit(engine, broker, lines, tell)
    for refusal in found.refusals:
        say(f"line {refusal.line}: {refusal.why}")
    say(f"{found.readers:,} readers, {found.devices:,} devices.")
    if found.refused:
        raise Failed(f"{found.refused:,} lines were left out")
