"""The form of the reader's settings on the page My alerts."""

from datetime import time
from typing import Annotated, Any

from fastapi import Form, Request, Response

from service.actions import readers as reader_actions
from service.domain.errors import Invalid
from service.domain.language import MAX_LANGUAGES
from service.domain.people import QuietHours, Reader
from service.http.api_document import Router
from service.http.dependencies import Line, SettingsDep, WorkDep, at_most
from service.settings import Settings
from service.web.readers.reader_pages import done, require_reader, show_settings
from service.web.visitors import READER_PATH, FromOurPages, ReaderOrNone

router = Router(prefix=READER_PATH, in_document=False)


@router.post("/settings", dependencies=[FromOurPages])
def change_settings(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    reader: ReaderOrNone,
    timezone: Annotated[str, Form(max_length=64)],
    language: Annotated[str, Form(max_length=40)],
    quiet_from: Annotated[str, Form(max_length=8)] = "",
    quiet_to: Annotated[str, Form(max_length=8)] = "",
    alerts_per_day: Annotated[str, Form(pattern=r"^[1-9][0-9]?$|^100$|^$")] = "",
    results: Annotated[str, Form(pattern=r"^(on)?$")] = "",
    digest: Annotated[str, Form(pattern=r"^(on)?$")] = "",
    languages: Annotated[list[Line], Form(), at_most(MAX_LANGUAGES)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Change the languages, the time zone, the quiet hours and what is counted."""
    current = require_reader(reader)
    form: dict[str, Any] = {
        "timezone": timezone.strip(),
        "language": language.strip(),
        "languages": [tag for tag in languages if tag],
        "quiet_from": quiet_from,
        "quiet_to": quiet_to,
        "alerts_per_day": alerts_per_day,
    } | {"results": bool(results), "digest": bool(digest)}
    try:
        changes = reader_actions.ReaderChanges(
            timezone=form["timezone"],
            language=form["language"],
            languages=tuple(form["languages"]),
            quiet_hours=_parse_quiet_hours(quiet_from, quiet_to),
            alerts_per_day=int(alerts_per_day) if alerts_per_day else None,
            results=_choice(current, settings, results=form["results"]),
            digest=form["digest"],
        )
        reader_actions.change_reader(work, current, changes)
    except Invalid as fault:
        return show_settings(request, work, current, faults={fault.field: fault.detail}, form=form)
    return done(request, "Saved.")


def _choice(reader: Reader, settings: Settings, *, results: bool) -> bool | None:
    """Return what the reader says of its results: nothing where it left the tick as it was."""
    if results == reader.shares_results(by_default=settings.results_by_default):
        return reader.results
    return results


def _parse_quiet_hours(begin: str, end: str) -> QuietHours | None:
    if not begin and not end:
        return None
    try:
        return QuietHours(time.fromisoformat(begin), time.fromisoformat(end))
    except ValueError:
        raise Invalid("quiet_hours", "Give both times, as in 22:00 and 07:00.") from None
