"""People over JSON, from server to server: readers by the publisher's own ids."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from service.actions.apps import people as people_actions
from service.actions.apps.people import Person
from service.actions.readers import MAX_SUBSCRIPTIONS
from service.api.devices import DeviceShown, device_shown
from service.api.readers import ReaderChange, ReaderShown, reader_shown
from service.api.subscriptions import SubscriptionShown, Terms, subscription_shown
from service.domain.people import LONGEST_EXTERNAL_ID
from service.domain.subscription import Subscription
from service.http.api_document import Router
from service.http.auth import AdminCaller
from service.http.dependencies import Line, SettingsDep, WorkDep, at_most
from service.store.operations import apps

router = Router(prefix="/api/admin/people", tags=["admin"])
ExternalId = Annotated[str, Path(min_length=1, max_length=LONGEST_EXTERNAL_ID)]


class PersonBody(ReaderChange):
    """A member left out stays as it is."""

    subscriptions: Annotated[dict[Line, Terms], at_most(MAX_SUBSCRIPTIONS)] | None = Field(
        None, description="By topic: all that the person follows from now on."
    )


class PersonDevice(DeviceShown):
    """A device of a person, without its address."""


class PersonShown(ReaderShown):
    """A person as the publisher's backend sees it."""

    external_id: str
    subscriptions: list[SubscriptionShown]
    devices: list[PersonDevice]


@router.get("/{external_id}")
def show_person(
    external_id: ExternalId, work: WorkDep, settings: SettingsDep, _: AdminCaller
) -> PersonShown:
    """Show a person: settings, follows, mutes, and devices without their addresses."""
    person = people_actions.show_person(work, external_id)
    return _shown(work, settings, person)


@router.put("/{external_id}")
def put_person(
    external_id: ExternalId,
    body: PersonBody,
    work: WorkDep,
    settings: SettingsDep,
    _: AdminCaller,
) -> PersonShown:
    """Set what a person follows and wants; somebody who never logged in may be one too."""
    follows = None
    if body.subscriptions is not None:
        follows = {
            topic: Subscription(
                topic=topic, least_urgency=terms.least_urgency, muted_until=terms.muted_until
            )
            for topic, terms in body.subscriptions.items()
        }
    person = people_actions.put_person(work, external_id, body.changes(), follows)
    return _shown(work, settings, person)


@router.delete("/{external_id}", status_code=204)
def erase_person(external_id: ExternalId, work: WorkDep, caller: AdminCaller) -> None:
    """Erase a person with devices, follows and logins: nothing of it is left."""
    people_actions.erase_person(work, external_id, caller)


def _shown(work: WorkDep, settings: SettingsDep, person: Person) -> PersonShown:
    providers = apps.providers(work.session)
    return PersonShown(
        **dict(reader_shown(person.reader, results=settings.results_by_default)),
        external_id=person.external_id,
        subscriptions=[subscription_shown(each) for each in person.subscriptions],
        devices=[
            PersonDevice(**dict(device_shown(device, providers))) for device in person.devices
        ],
    )
