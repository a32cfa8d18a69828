"""Readers become known, say what they want, see what is kept of them, and are forgotten."""

from datetime import time
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.actions import readers as reader_actions
from service.domain.people import QuietHours, Reader
from service.domain.subscription import Urgency
from service.http.auth import CurrentReader
from service.http.dependencies import Closed, Id, Line, Moment, RegistrationsLimited, WorkDep
from service.store.readers import devices

router = APIRouter(prefix="/api", tags=["readers"])
NO_STORE = {"Cache-Control": "no-store"}

WallClock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["22:00"])]
Language = Annotated[Line, Field(examples=["pt-BR"], description="BCP 47.")]
Timezone = Annotated[Line, Field(examples=["Asia/Kolkata"], description="An IANA name.")]


class QuietHoursBody(Closed):
    """Local times between which only breaking alerts come; equal ends mean never."""

    begin: WallClock = Field(alias="from")
    end: WallClock = Field(alias="to")

    def read(self) -> QuietHours:
        """Return them as the domain knows them."""
        return QuietHours(time.fromisoformat(self.begin), time.fromisoformat(self.end))


class NewReader(Closed):
    """What a new reader may say; all of it can be changed later."""

    language: Language = "en"
    timezone: Timezone = "UTC"
    quiet_hours: QuietHoursBody | None = None


class ReaderChange(Closed):
    """What is left out stays; `quiet_hours` null removes them."""

    language: Language = ""
    timezone: Timezone = ""
    quiet_hours: QuietHoursBody | None = None

    def wishes(self) -> reader_actions.Wishes:
        """Return what was said, and nothing that was left out."""
        wishes: reader_actions.Wishes = {}
        if "language" in self.model_fields_set:
            wishes["language"] = self.language
        if "timezone" in self.model_fields_set:
            wishes["timezone"] = self.timezone
        if "quiet_hours" in self.model_fields_set:
            wishes["quiet_hours"] = self.quiet_hours.read() if self.quiet_hours else None
        return wishes


class NewToken(BaseModel):
    """The token is shown this once: only its hash is kept."""

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
    timezone: str
    quiet_hours: QuietHoursShown | None


class KeysShown(BaseModel):
    """A browser's keys."""

    p256dh: str
    auth: str | None


class DeviceKept(BaseModel):
    """All that is kept of a device; a gone one has lost its address."""

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


class SubscriptionKept(BaseModel):
    """All that is kept of a subscription."""

    topic: str
    least_urgency: Urgency
    muted_until: Moment | None
    created_at: Moment


class ReaderKept(ReaderShown):
    """All that is kept of a reader."""

    created_at: Moment
    devices: list[DeviceKept]
    subscriptions: list[SubscriptionKept]


@router.post("/readers", status_code=201, dependencies=[RegistrationsLimited])
def register_reader(work: WorkDep, response: Response, body: NewReader | None = None) -> NewToken:
    """Become a reader: the answer holds the token that all other calls of a reader need."""
    asked = body or NewReader()
    quiet_hours = asked.quiet_hours.read() if asked.quiet_hours else None
    reader, token = reader_actions.register_reader(
        work, asked.language, asked.timezone, quiet_hours
    )
    response.headers.update(NO_STORE)
    return NewToken(id=reader.id, token=token)


@router.get("/me")
def show(reader: CurrentReader, response: Response) -> ReaderShown:
    """Show what the reader said of itself."""
    response.headers.update(NO_STORE)
    return ReaderShown(**_shown(reader))


@router.patch("/me")
def change(work: WorkDep, reader: CurrentReader, body: ReaderChange) -> ReaderShown:
    """Change what is given and leave the rest."""
    return ReaderShown(**_shown(reader_actions.change(work, reader, body.wishes())))


@router.delete("/me", status_code=204)
def erase(work: WorkDep, reader: CurrentReader) -> None:
    """Erase the reader with its devices and subscriptions; the token is worth nothing more."""
    reader_actions.erase(work, reader)


@router.get("/me/export")
def export(work: WorkDep, reader: CurrentReader, response: Response) -> ReaderKept:
    """Hand out all that is kept of the reader, addresses included."""
    kept = reader_actions.export(work, reader)
    response.headers.update(NO_STORE)
    return ReaderKept(
        **_shown(kept.reader.reader),
        created_at=kept.reader.created_at,
        devices=[_device_kept(device) for device in kept.devices],
        subscriptions=[
            SubscriptionKept(
                topic=held.subscription.topic,
                least_urgency=held.subscription.least_urgency,
                muted_until=held.subscription.muted_until,
                created_at=held.created_at,
            )
            for held in kept.subscriptions
        ],
    )


def _shown(reader: Reader) -> dict[str, Any]:
    quiet = reader.quiet_hours
    hours = None
    if quiet is not None:
        hours = QuietHoursShown(begin=_clock(quiet.begin), end=_clock(quiet.end))
    return {
        "id": reader.id,
        "language": reader.language,
        "timezone": reader.timezone,
        "quiet_hours": hours,
    }


def _clock(at: time) -> str:
    return at.strftime("%H:%M")


def _device_kept(held: devices.DeviceRecord) -> DeviceKept:
    keys = None if held.p256dh is None else KeysShown(p256dh=held.p256dh, auth=held.auth)
    return DeviceKept(
        id=held.id,
        provider=held.provider,
        kind=held.kind,
        address=held.address,
        keys=keys,
        locale=held.locale,
        app_version=held.app_version,
        registered_at=held.registered_at,
        gone_at=held.gone_at,
        gone_why=held.gone_why,
    )
