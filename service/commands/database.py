"""The database as a whole: `newszop migrate`, and `backup` and `restore` as one file."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.commands import store_access
from service.commands.output import Failed, say
from service.commands.settings import read_settings
from service.logs import open_report
from service.media import pictures_elsewhere
from service.settings import Settings
from service.store import backup as backups
from service.store import migrate as migrations
from service.store.backup import NotABackup
from service.store.staff import first_admin

File = Annotated[Path, typer.Argument(help="The backup's file.")]


def migrate() -> None:
    """Bring the database to the present schema; harmless when it is there."""
    settings = read_settings()
    report = open_report(settings.log_format, say)
    with store_access.store():
        migrations.migrate(settings.database_url, pooler=settings.db_pooler)
    report("The database has the present schema.")
    if settings.admin_email:
        _offer_first_admin(settings, report)


def _offer_first_admin(settings: Settings, report: Callable[[str], None]) -> None:
    """Write the link by which NEWSZOP_ADMIN_EMAIL becomes the first admin, while there is none."""
    with store_access.one_transaction() as session:
        token = first_admin.open_link(session, settings.admin_email, datetime.now(UTC))
    if token is None:
        return
    hours = int(first_admin.LIFETIME.total_seconds() // 3600)
    report(f"{settings.admin_email} is to be the first admin and sets a password here:")
    report(f"{settings.public_url}/first-admin/{token}")
    report(f"The link can be used once, within {hours} hours.")


def backup(
    file: File,
    addresses: Annotated[
        bool, typer.Option(help="With the readers and their devices' addresses.")
    ] = True,
) -> None:
    """Write all rows as they are at one moment to a new file; the system may run meanwhile."""
    try:
        with store_access.store() as engine:
            manifest = backups.write_backup(engine, file, addresses=addresses, report=say)
            pictures = pictures_elsewhere.say_after_backup(engine, read_settings())
    except FileExistsError:
        raise Failed(f"{file} exists") from None
    except (OSError, NotABackup) as error:
        raise Failed(str(error)) from None
    size = file.stat().st_size / 1e6
    say(f"{sum(manifest.rows.values()):,} rows of {manifest.taken_at.isoformat()}: {size:.1f} MB.")
    _say_all(pictures)


def restore(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the place of everything in the database. All sending is paused then."""
    try:
        manifest = backups.read_manifest(file)
        moment = manifest.taken_at.isoformat()
        question = f"Replace everything in the database by the backup of {moment}?"
        if not yes and not typer.confirm(question):
            raise Failed("nothing was changed")
        with store_access.store() as engine:
            result = backups.restore_backup(engine, file, by=store_access.WHO)
            say(f"Restored as of {moment}. All sending is paused.")
            say(f"{result.undecided_alerts} alerts were not finished then: continue or stop each.")
            say("Then let pushes leave again: newszop resume")
            _say_all(pictures_elsewhere.say_after_restore(engine, read_settings()))
    except NotABackup as error:
        raise Failed(str(error)) from None


def _say_all(lines: list[str]) -> None:
    for line in lines:
        say(line)
