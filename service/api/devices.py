"""A reader's devices: registered and renewed by `PUT`, listed without their addresses."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from service.actions import readers as reader_actions
from service.actions.apps.logins import note_registration
from service.domain.device import Device, Registration
from service.http.api_document import Router
from service.http.auth import CurrentReader, ReaderTokenHash
from service.http.dependencies import (
    Closed,
    Cursor,
    Id,
    Limit,
    Line,
    Listing,
    Moment,
    SettingsDep,
    WorkDep,
    page,
)
from service.http.problems import document_refusal
from service.store.operations import apps
from service.store.readers import devices

router = Router(prefix="/api/me/devices", tags=["readers"])

Address = Annotated[Line, Field(min_length=1)]


class Keys(Closed):
    """What a browser's `PushSubscription` says under `keys`."""

    p256dh: Line
    auth: Line
    vapid_key: Line | None = Field(
        None,
        description="The `applicationServerKey` that it subscribed with, base64url; left out, "
        "the app's newest.",
    )


class DeviceBody(Closed):
    """A device that registers, or renews its registration."""

    provider: Line = Field(examples=["fcm"])
    app: Line = Field(
        "", description="The app's name; left out, the provider's default app.", examples=["sport"]
    )
    address: Address = Field(description="A token, an installation's id, or an endpoint's URL.")
    keys: Keys | None = Field(None, description="Browsers only.")
    expiration_time: float | None = Field(
        None,
        alias="expirationTime",
        description="Taken as browsers hand it out with a subscription, and not used.",
    )
    replaces: Line | None = Field(None, description="The address this device had before.")
    locale: Line = Field("", examples=["pt-BR"])
    app_version: Line = Field("", examples=["5.12.0"])

    def read(self) -> Registration:
        """Return it as a domain value."""
        return Registration(
            provider=self.provider,
            address=self.address,
            p256dh=self.keys.p256dh if self.keys else None,
            auth=self.keys.auth if self.keys else None,
            app=self.app,
            vapid_key=self.keys.vapid_key if self.keys else None,
            replaces=self.replaces,
            locale=self.locale,
            app_version=self.app_version,
        )


class DeviceId(BaseModel):
    """The answer to a registration."""

    id: Id


class DeviceShown(BaseModel):
    """A device, as its reader may see it: never the address."""

    id: Id
    provider: str
    app: str
    locale: str
    app_version: str
    registered_at: Moment


@router.put(
    "",
    responses={
        200: {"description": "Known before"},
        201: {"description": "New", "model": DeviceId},
        409: document_refusal(
            "`/problems/address-gone`: the push service has ended the subscription at this "
            "endpoint for good. Unsubscribe, subscribe again, and register the new one."
        ),
    },
)
def register_device(
    work: WorkDep,
    settings: SettingsDep,
    reader: CurrentReader,
    token_hash: ReaderTokenHash,
    body: DeviceBody,
    response: Response,
) -> DeviceId:
    """Register a device, or renew it: the address belongs to its last registrant.

    At most 16 are kept; the 17th evicts the oldest registration.
    """
    device, is_new = reader_actions.register_device(work, settings.seal_keys, reader, body.read())
    if is_new:
        note_registration(work, token_hash, device.id)
    response.status_code = 201 if is_new else 200
    return DeviceId(id=device.id)


@router.get("")
def list_devices(
    work: WorkDep, reader: CurrentReader, cursor: Cursor = None, limit: Limit = 50
) -> Listing[DeviceShown]:
    """List the reader's devices, the last registered first."""
    results = devices.page(work.session, reader.id, cursor, limit)
    providers = apps.providers(work.session)
    return page([device_shown(device, providers) for device in results.items], results.next)


def device_shown(device: Device, providers: Mapping[str, str]) -> DeviceShown:
    """Return a device as its reader sees it; `providers` are those of the apps, by app."""
    return DeviceShown(
        id=device.id,
        provider=providers.get(device.provider, device.provider),
        app=device.provider,
        locale=device.locale,
        app_version=device.app_version,
        registered_at=device.registered_at,
    )


@router.delete("/{device_id}", status_code=204)
def remove_device(work: WorkDep, reader: CurrentReader, device_id: Id) -> None:
    """Remove a device; nothing is pushed to it any more."""
    reader_actions.remove_device(work, reader, device_id)
