"""Readers: sign up, change settings, export what is stored about them, be erased."""

from datetime import time
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import BaseModel, ConfigDict, Field

from service.actions import readers as reader_actions
from service.domain.language import MAX_LANGUAGES, parse_accept_language
from service.domain.people import MOST_ALERTS_PER_DAY, QuietHours, Reader
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.auth import CurrentReader
from service.http.dependencies import (
    Closed,
    Id,
    Line,
    Moment,
    RegistrationsLimited,
    SettingsDep,
    WorkDep,
    at_most,
)
from service.store.readers import devices

router = Router(prefix="/api", tags=["readers"])
NO_STORE = {"Cache-Control": "no-store"}

WallClock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["22:00"])]
Language = Annotated[Line, Field(examples=["pt-BR"], description="BCP 47.")]
Languages = Annotated[list[Language], at_most(MAX_LANGUAGES)]
Timezone = Annotated[Line, Field(examples=["Asia/Kolkata"], description="An IANA name.")]


class QuietHoursBody(Closed):
    """Local times between which only breaking alerts come; equal times mean no quiet hours."""

    begin: WallClock = Field(alias="from")
    end: WallClock = Field(alias="to")

    def read(self) -> QuietHours:
        """Return them as a domain value."""
        return QuietHours(time.fromisoformat(self.begin), time.fromisoformat(self.end))


class NewReader(Closed):
    """The settings of a new reader; all can be changed later."""

    language: Language = "en"
    languages: Languages | None = Field(
        None,
        description="The languages that the reader reads. Left out: those of the header "
        "`Accept-Language`; without that, or empty: all.",
    )
    timezone: Timezone = "UTC"
    quiet_hours: QuietHoursBody | None = None

    def read_languages(self, accept_language: str) -> tuple[str, ...]:
        """Return the languages that the reader named, else those of the browser or the phone."""
        if self.languages is None:
            return parse_accept_language(accept_language)
        return tuple(self.languages)


class ReaderChange(Closed):
    """A member left out stays as it is; `quiet_hours` null removes them."""

    language: Language = Field(default_factory=str)
    languages: Languages = Field(
        default_factory=list,
        description="The languages that the reader reads; empty: all. Where the installation "
        "has the rule, an alert in none of them does not come.",
    )
    timezone: Timezone = Field(default_factory=str)
    quiet_hours: QuietHoursBody | None = None
    alerts_per_day: Annotated[int, Field(ge=1, le=MOST_ALERTS_PER_DAY)] | None = Field(
        None,
        description="The most normal and quiet alerts in 24 hours; null: as many as the "
        "installation allows. Breaking ones always come.",
    )
    results: bool | None = Field(
        None,
        description="Whether what the reader opens may be counted in what alerts did; null: as "
        "the installation has it. Receipts are answered the same either way.",
    )
    digest: bool = Field(
        default=False,
        description="Whether what quiet hours kept away comes as one push at their end.",
    )

    def changes(self) -> reader_actions.ReaderChanges:
        """Return the members that were sent."""
        changes: reader_actions.ReaderChanges = {}
        if "language" in self.model_fields_set:
            changes["language"] = self.language
        if "languages" in self.model_fields_set:
            changes["languages"] = tuple(self.languages)
        if "timezone" in self.model_fields_set:
            changes["timezone"] = self.timezone
        if "quiet_hours" in self.model_fields_set:
            changes["quiet_hours"] = self.quiet_hours.read() if self.quiet_hours else None
        if "alerts_per_day" in self.model_fields_set:
            changes["alerts_per_day"] = self.alerts_per_day
        if "results" in self.model_fields_set:
            changes["results"] = self.results
        if "digest" in self.model_fields_set:
            changes["digest"] = self.digest
        return changes


class NewToken(BaseModel):
    """The token is shown this once: only its hash is export."""

    id: Id
    token: str


class QuietHoursShown(BaseModel):
    """Local times, as they were given."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    begin: str = Field(alias="from")
    end: str = Field(alias="to")


class ReaderShown(BaseModel):
    """A reader, as it may see itself."""

    id: Id
    language: str
    languages: list[str]
    timezone: str
    quiet_hours: QuietHoursShown | None
    alerts_per_day: int | None
    results: bool = Field(description="Whether what the reader opens is counted.")
    digest: bool = Field(description="Whether what quiet hours kept away comes at their end.")


class KeysShown(BaseModel):
    """A browser's keys."""

    p256dh: str
    auth: str | None


class DeviceExport(BaseModel):
    """Everything stored about a device; a gone one has no address any more."""

    id: Id
    provider: str
    kind: str
    address: str
    keys: KeysShown | None
    locale: str
    app_version: str
    registered_at: Moment
    gone_at: Moment | None
    gone_why: str | None


class SubscriptionExport(BaseModel):
    """Everything stored about a subscription."""

    topic: str
    least_urgency: Urgency
    muted_until: Moment | None
    created_at: Moment


class ReaderExport(ReaderShown):
    """Everything stored about a reader."""

    created_at: Moment
    external_id: str | None = Field(description="The publisher's own id of a reader who logged in.")
    devices: list[DeviceExport]
    subscriptions: list[SubscriptionExport]


@router.post("/readers", status_code=201, dependencies=[RegistrationsLimited])
def register_reader(
    work: WorkDep,
    response: Response,
    body: NewReader | None = None,
    accept_language: Annotated[str, Header()] = "",
) -> NewToken:
    """Create a reader. The answer holds the token that all other calls of the reader need."""
    settings = body or NewReader()
    quiet_hours = settings.quiet_hours.read() if settings.quiet_hours else None
    languages = settings.read_languages(accept_language)
    reader, token = reader_actions.register_reader(
        work, settings.language, settings.timezone, quiet_hours, languages
    )
    response.headers.update(NO_STORE)
    return NewToken(id=reader.id, token=token)


@router.get("/me")
def show_reader(reader: CurrentReader, settings: SettingsDep, response: Response) -> ReaderShown:
    """Show the reader's settings."""
    response.headers.update(NO_STORE)
    return reader_shown(reader, results=settings.results_by_default)


@router.patch("/me")
def change_reader(
    work: WorkDep, settings: SettingsDep, reader: CurrentReader, body: ReaderChange
) -> ReaderShown:
    """Change the members that are sent and leave the rest."""
    changed = reader_actions.change_reader(work, reader, body.changes())
    return reader_shown(changed, results=settings.results_by_default)


@router.delete("/me", status_code=204)
def erase_reader(work: WorkDep, reader: CurrentReader) -> None:
    """Erase the reader with its devices and subscriptions; the token becomes invalid."""
    reader_actions.erase_reader(work, reader)


@router.get("/me/export")
def export_reader(
    work: WorkDep, settings: SettingsDep, reader: CurrentReader, response: Response
) -> ReaderExport:
    """Export everything stored about the reader, addresses included."""
    export = reader_actions.export_reader(work, reader)
    response.headers.update(NO_STORE)
    return ReaderExport(
        **_show_reader(export.reader.reader, results=settings.results_by_default),
        created_at=export.reader.created_at,
        external_id=export.reader.external_id,
        devices=[_export_device(device) for device in export.devices],
        subscriptions=[
            SubscriptionExport(
                topic=follow.subscription.topic,
                least_urgency=follow.subscription.least_urgency,
                muted_until=follow.subscription.muted_until,
                created_at=follow.created_at,
            )
            for follow in export.subscriptions
        ],
    )


def reader_shown(reader: Reader, *, results: bool) -> ReaderShown:
    """Return a reader as it may see itself; `results` is what holds where it has not said."""
    return ReaderShown(**_show_reader(reader, results=results))


def _show_reader(reader: Reader, *, results: bool) -> dict[str, Any]:
    quiet = reader.quiet_hours
    hours = None
    if quiet is not None:
        hours = QuietHoursShown(begin=_clock(quiet.begin), end=_clock(quiet.end))
    return {
        "id": reader.id,
        "language": reader.language,
        "languages": list(reader.languages),
        "timezone": reader.timezone,
        "quiet_hours": hours,
        "alerts_per_day": reader.alerts_per_day,
        "results": reader.shares_results(by_default=results),
        "digest": reader.digest,
    }


def _clock(local: time) -> str:
    return local.strftime("%H:%M")


def _export_device(device: devices.DeviceRecord) -> DeviceExport:
    keys = None if device.p256dh is None else KeysShown(p256dh=device.p256dh, auth=device.auth)
    return DeviceExport(
        id=device.id,
        provider=device.provider,
        kind=device.kind,
        address=device.address,
        keys=keys,
        locale=device.locale,
        app_version=device.app_version,
        registered_at=device.registered_at,
        gone_at=device.gone_at,
        gone_why=device.gone_why,
    )
