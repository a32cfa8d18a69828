"""`PUT /api/me/devices`: devices that renew themselves, and those at addresses that are new.

The first is what most do whenever an app starts, the second what one does after its installation.
"""

from collections.abc import Callable, Sequence

from pydantic import TypeAdapter
from sqlmodel import Session

from service import provider_door
from service.actions import readers as reader_actions
from service.actions.apps.app_lookup import AppLookup
from service.api.devices import DeviceBody
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.hot.call import Answer, Call, OrdinaryPath
from service.hot.group_commit import GroupCommit
from service.settings import Settings
from service.store.readers.device_groups import add_all, renew_all

TokenAndDevice = tuple[bytes, Registration]
"""The hash of a reader's token, and what the reader registers."""
Registered = tuple[int, bool]
"""A device's id, and whether it is new."""
RegistrationGroup = GroupCommit[TokenAndDevice, Registered]
_BODY = TypeAdapter(DeviceBody)


def registration_writer(
    settings: Settings,
) -> Callable[[Session, Sequence[TokenAndDevice]], Sequence[Registered | None]]:
    """Return what checks registrations, as the ordinary path does, and renews or adds devices."""

    def write(
        session: Session, registrations: Sequence[TokenAndDevice]
    ) -> Sequence[Registered | None]:
        results: list[Registered | None] = [None] * len(registrations)
        valid = _check(AppLookup(session, settings.seal_keys), registrations)
        new = {}
        for place, device_id in zip(valid, renew_all(session, list(valid.values())), strict=True):
            if device_id is None:
                new[place] = valid[place]
            else:
                results[place] = device_id, False
        if new:
            for place, device_id in zip(new, add_all(session, list(new.values())), strict=True):
                results[place] = None if device_id is None else (device_id, True)
        return results

    return write


def _check(lookup: AppLookup, registrations: Sequence[TokenAndDevice]) -> dict[int, TokenAndDevice]:
    """Return the registrations that are valid, by their places, in their normal form."""
    valid: dict[int, TokenAndDevice] = {}
    with provider_door.one_environment():
        for place, (token_hash, registration) in enumerate(registrations):
            try:
                valid[place] = token_hash, reader_actions.check_device(lookup, registration)
            except Invalid:
                continue
    return valid


def address_and_reader(call: TokenAndDevice) -> tuple[object, object]:
    """Return what no two registrations of a group have in common."""
    token_hash, registration = call
    return (registration.provider, registration.address), token_hash


class DeviceCalls:
    """Answers for registrations."""

    def __init__(self, registrations: RegistrationGroup) -> None:
        self._registrations = registrations

    async def register(self, call: Call) -> Answer:
        """Renew or add a device; what replaces another one goes the ordinary path."""
        registration = call.read(_BODY).read()
        if registration.replaces is not None:
            raise OrdinaryPath
        device = await call.wait_for(self._registrations.submit((call.token_hash(), registration)))
        if device is None:
            raise OrdinaryPath
        device_id, is_new = device
        return Answer(201 if is_new else 200, b'{"id":"%d"}' % device_id)  # a `DeviceId`
