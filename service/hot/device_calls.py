"""`PUT /api/me/devices`: devices that only renew themselves, as most do whenever an app starts."""

from collections.abc import Callable, Sequence

from pydantic import TypeAdapter
from sqlmodel import Session

from service.actions import readers as reader_actions
from service.actions.apps.app_lookup import AppLookup
from service.api.devices import DeviceBody, DeviceId
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.hot.call import Answer, Call, OrdinaryPath, json_answer
from service.hot.group_commit import GroupCommit
from service.outbox import Broker, Outbox
from service.settings import Settings
from service.store.readers.device_renewals import renew_all
from service.store.session import database_now
from service.unit_of_work import UnitOfWork

Renewal = tuple[bytes, Registration]
RenewalGroup = GroupCommit[Renewal, int]
_BODY = TypeAdapter(DeviceBody)


def renewal_writer(
    settings: Settings, broker: Broker
) -> Callable[[Session, Sequence[Renewal]], Sequence[int | None]]:
    """Return what checks registrations, as the ordinary path does, and renews their devices."""

    def write(session: Session, renewals: Sequence[Renewal]) -> Sequence[int | None]:
        work = UnitOfWork(session, Outbox(broker), database_now(session))
        lookup = AppLookup(work, settings.seal_keys)
        results: list[int | None] = [None] * len(renewals)
        places: list[int] = []
        registrations: list[Renewal] = []
        for place, (token_hash, registration) in enumerate(renewals):
            try:
                valid = reader_actions.check_device(lookup, registration)
            except Invalid:
                continue
            places.append(place)
            registrations.append((token_hash, valid))
        for place, device_id in zip(places, renew_all(session, registrations), strict=True):
            results[place] = device_id
        return results

    return write


def address(renewal: Renewal) -> tuple[str, str]:
    """Return what no two renewals of a group have in common."""
    _, registration = renewal
    return registration.provider, registration.address


class DeviceCalls:
    """Answers for renewals."""

    def __init__(self, renewals: RenewalGroup) -> None:
        self._renewals = renewals

    async def renew(self, call: Call) -> Answer:
        """Renew a device that the reader has; any other registration goes the ordinary path."""
        registration = call.read(_BODY).read()
        if registration.replaces is not None:
            raise OrdinaryPath
        device_id = await self._renewals.submit((call.token_hash(), registration))
        if device_id is None:
            raise OrdinaryPath
        return json_answer(200, DeviceId(id=device_id))
