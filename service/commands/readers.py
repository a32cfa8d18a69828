"""Readers in bulk: made-up ones for trials, real ones from a file."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands import store_access
from service.commands.output import Failed, progress, say
from service.commands.settings import read_settings
from service.demo import contents
from service.store.readers import seeding

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
    url = read_settings().database_url
    mix = seeding.Mix(
        devices_per_reader=devices,
        topics_per_reader=topics,
        browsers=contents.browser_source(standins.rstrip("/")) if standins else None,
    )
    with store_access.store(), progress("Readers", readers) as report:
        count = seeding.seed(url, readers=readers, mix=mix, seed=dice, progress=report)
    say(f"{count:,} readers added.")


Export = Annotated[Path, typer.Argument(help="The export.", exists=True, dir_okay=False)]
ExportForm = Annotated[
    str, typer.Option("--from", help="ours, onesignal, airship, firebase or webpush.")
]
PushApp = Annotated[
    str, typer.Option("--app", help="The app they are of; else each provider's default app.")
]
LineProvider = Annotated[str, typer.Option(help="The provider, where the lines do not say.")]
Columns = Annotated[
    list[str] | None, typer.Option(help="Ours=theirs, as in address=device_token; several.")
]
TagTopics = Annotated[
    list[str] | None, typer.Option(help="Tag=topic, as in news_sport=sport; several.")
]
VapidKey = Annotated[str, typer.Option(help="Browsers: the public key that they subscribed with.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen.")]
FirstLine = Annotated[int, typer.Option("--line", min=1, help="Go on from this line.")]
BrokenLines = Annotated[
    Path | None, typer.Option(help="Write the broken lines here, as line,reason.")
]


@app.command("import")
def import_(
    file: Export,
    form: ExportForm = "ours",
    push_app: PushApp = "",
    provider: LineProvider = "",
    column: Columns = None,
    topic: TagTopics = None,
    vapid_key: VapidKey = "",
    dry_run: DryRun = False,
    first: FirstLine = 1,
    report: BrokenLines = None,
) -> None:
    """Take readers in from a file: CSV with a header, JSON lines, or one token a line.

    Our own lines are {"provider", "address", "keys"?, "topics"?, "language"?, "timezone"?,
    "locale"?}. A known address renews its device, so a file may be read again. A wrong line is
    named and left out.
    """
    from service.commands.importing import export_import  # noqa: PLC0415 - half a second that no other command needs

    job = export_import.ImportJob(
        file=file,
        form=form,
        app=push_app,
        provider=provider,
        columns=_pairs(column, "--column"),
        topics=_pairs(topic, "--topic"),
        vapid_key=vapid_key or None,
        dry_run=dry_run,
        first=first,
        report=report,
    )
    export_import.run(job)


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Return what stands before and after the last equals sign of each text."""
    pairs = [text.rpartition("=") for text in texts or []]
    if not all(name and value for name, _, value in pairs):
        raise Failed(f"{option} takes name=value")
    return {name: value for name, _, value in pairs}
