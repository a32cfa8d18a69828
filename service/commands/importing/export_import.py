"""`newszop readers import`: takes the readers of an export in, and reports what it could not."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine

from service import provider_door
from service.actions.apps.app_lookup import open_app
from service.commands import store_access
from service.commands.importing.reader_import import Tally, import_readers
from service.commands.importing.vendor_exports import Form, Reading, decode_lines, read_export
from service.commands.output import Failed, progress, say
from service.commands.settings import read_settings
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.settings import Settings
from service.store.operations import apps
from service.store.session import transaction

MAX_COMPLAINTS = 100
Check = Callable[[Registration], Registration]
Complain = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """What the command line asks for."""

    file: Path
    form: str = Form.OURS
    app: str = ""
    provider: str = ""
    columns: Mapping[str, str]
    topics: Mapping[str, str]
    vapid_key: str | None = None
    dry_run: bool = False
    first: int = 1
    report: Path | None = None


def run(job: ImportJob) -> None:
    """Import, and say what became of the lines; raises `Failed` where some were left out."""
    if job.form not in set(Form):
        raise Failed(f"--from is one of {', '.join(Form)}")
    settings = read_settings()
    with store_access.store() as engine, _complaints(job.report) as complain:
        check, provider = _app_check(engine, settings, job)
        reading = Reading(
            form=Form(job.form),
            columns=job.columns,
            topics=job.topics,
            provider=job.provider or provider,
            vapid_key=job.vapid_key,
        )
        tally = _import(engine, job, reading, check, complain)
    would = "would be " if job.dry_run else ""
    say(f"{tally.additions:,} readers {would}added, {tally.renewals:,} {would}renewed.")
    if tally.skips:
        raise Failed(f"{tally.skips:,} lines were left out")


def _import(
    engine: Engine, job: ImportJob, reading: Reading, check: Check, complain: Complain
) -> Tally:
    size = job.file.stat().st_size
    last_line = 0
    with job.file.open("rb") as file, progress("Bytes", size) as report:
        ours = reading.form is Form.OURS
        lines = decode_lines(file) if ours else read_export(file, reading)

        def advance(tally: Tally) -> None:
            nonlocal last_line
            last_line = tally.last_line
            report(min(file.tell(), size))

        try:
            return import_readers(
                engine,
                lines,
                progress=advance,
                complain=complain,
                check=check,
                dry_run=job.dry_run,
                first=job.first,
            )
        except KeyboardInterrupt:
            raise Failed(f"stopped: go on with --line {last_line + 1}") from None


def _app_check(engine: Engine, settings: Settings, job: ImportJob) -> tuple[Check, str]:
    """Return what checks a registration for the job's app, and the app's provider."""
    with transaction(engine) as session:
        rows = apps.every_app(session)

    def check(registration: Registration) -> Registration:
        name = job.app or registration.provider
        app = rows.get(name)
        if app is not None and app.provider != registration.provider:
            raise Invalid("provider", f"the app {name} is one of {app.provider}")
        if app is None:
            return provider_door.check(registration.provider, registration)
        valid = provider_door.check_in_app(open_app(settings.seal_keys, app), registration)
        return replace(valid, app=name)

    if not job.app:
        return check, ""
    app = rows.get(job.app)
    if app is None or app.disabled_at is not None:
        raise Failed(f"there is no app {job.app!r} in use")
    return check, app.provider


@contextmanager
def _complaints(report: Path | None) -> Iterator[Complain]:
    """Yield what takes complaints: the first go to the terminal, all into the report."""
    number = 0
    with (report or Path("/dev/null")).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("line", "reason"))

        def complain(line: int, why: str) -> None:
            nonlocal number
            number += 1
            rows.writerow((line, why))
            if number <= MAX_COMPLAINTS:
                say(f"line {line}: {why}")

        yield complain
