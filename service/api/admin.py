"""For admins: what waits where, the providers and their holds, the audit trail."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.actions import pauses as pause_actions
from service.actions import providers as provider_actions
from service.actions.providers import ProviderStatus
from service.http.api_document import Router
from service.http.auth import AdminCaller
from service.http.dependencies import (
    Closed,
    Cursor,
    Id,
    Limit,
    Listing,
    Moment,
    QueuesDep,
    SettingsDep,
    WorkDep,
)
from service.store.operations import pauses
from service.store.staff import audit

router = Router(prefix="/api/admin", tags=["admin"])


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class QueueOut(_Shown):
    """Messages in a queue; null while the broker is away."""

    name: str
    messages: int | None


class WaitingOut(_Shown):
    """Open deliveries of a provider, each counted once; seconds since the oldest was due."""

    name: str
    pending: int
    leased: int
    retrying: int
    oldest_seconds: float


class WorkerOut(_Shown):
    """A worker seen within the last minute; `trouble` says why nothing that it sends leaves it."""

    name: str
    queues: list[str]
    last_seen: Moment
    trouble: str | None = None


class OverviewOut(_Shown):
    """Messages and deliveries that wait, and the workers that take them.

    `warnings` say what keeps alerts from leaving: no worker, no sweep.
    """

    queues: list[QueueOut]
    providers: list[WaitingOut]
    workers: list[WorkerOut]
    warnings: list[str]


class ProviderAppOut(_Shown):
    """An app of a provider, and how it did in the last minute.

    It is failing when it has accepted nothing for a minute while deliveries wait for it, or when
    more than half of its answers are failures; `cause` says why it is failing or held, and `since`
    since when. `waiting` counts the deliveries that are not final.
    `error_share` is the share of deliveries that are retrying or buried, among the answered ones
    of the batches sent in that minute; 0 when there were none.
    """

    name: str
    state: provider_actions.ProviderState
    cause: str | None
    waiting: int
    held: bool
    reason: str | None
    since: Moment | None
    held_by: str | None
    accepted_per_second: float
    error_share: Annotated[float, BeforeValidator(lambda share: share or 0.0)]


class ProviderOut(ProviderAppOut):
    """A provider's default app, which has the provider's name, or another app.

    The figures are its own; `apps` are all apps of a provider, its default one first.
    """

    provider: str = Field(description="Whom its pushes go through.")
    apps: list[ProviderAppOut] = Field(
        description="Of a provider: all its apps that are in use or have deliveries waiting. Of "
        "another app: itself."
    )


class HoldIn(Closed):
    """Why a provider, or none of them, must be used."""

    reason: str


class PauseOut(BaseModel):
    """Whether all sending is paused, and why, since when and by whom."""

    paused: bool
    reason: str | None = None
    since: Moment | None = None
    held_by: str | None = None


class EntryOut(_Shown):
    """One entry of the audit trail."""

    id: Id
    at: Moment
    who: str
    name: str
    verb: str
    what: str
    detail: dict[str, Any]


@router.get("/queues")
def show_queues(
    work: WorkDep, queues: QueuesDep, settings: SettingsDep, _: AdminCaller
) -> OverviewOut:
    """Count the messages that wait, the deliveries that wait, and the workers."""
    return OverviewOut.model_validate(provider_actions.overview(work, queues, settings))


@router.get("/providers")
def list_providers(work: WorkDep, settings: SettingsDep, _: AdminCaller) -> Listing[ProviderOut]:
    """List the providers in use and the other apps: the state of each, and what waits for it."""
    statuses = provider_actions.list_providers(work, settings)
    return Listing(items=[_provider_shown(each, statuses) for each in statuses], next=None)


@router.put("/providers/{name}/hold")
def hold_provider(
    name: str, body: HoldIn, work: WorkDep, settings: SettingsDep, caller: AdminCaller
) -> ProviderOut:
    """Stop using a provider: its deliveries wait until it is released, or expire."""
    provider_actions.hold(work, settings, name, body.reason, caller)
    return _show_provider(work, settings, name)


@router.delete("/providers/{name}/hold")
def release_provider(
    name: str, work: WorkDep, settings: SettingsDep, caller: AdminCaller
) -> ProviderOut:
    """Use a provider again: its waiting deliveries go on at once."""
    provider_actions.release(work, settings, name, caller)
    return _show_provider(work, settings, name)


@router.get("/pause")
def show_pause(work: WorkDep, _: AdminCaller) -> PauseOut:
    """Say whether all sending is paused."""
    pause = pauses.get(work.session)
    if pause is None:
        return PauseOut(paused=False)
    return PauseOut(paused=True, reason=pause.reason, since=pause.since, held_by=pause.held_by)


@router.put("/pause")
def pause_sending(body: HoldIn, work: WorkDep, caller: AdminCaller) -> PauseOut:
    """Let no push leave, from within a second on; alerts are accepted, and wait or expire."""
    pause_actions.pause(work, body.reason, caller)
    return show_pause(work, caller)


@router.delete("/pause")
def resume_sending(work: WorkDep, caller: AdminCaller) -> PauseOut:
    """Let pushes leave again; providers that are held stay so."""
    pause_actions.resume(work, caller)
    return PauseOut(paused=False)


@router.get("/audit")
def list_audit_entries(
    work: WorkDep, _: AdminCaller, cursor: Cursor = None, limit: Limit = 50, what: str | None = None
) -> Listing[EntryOut]:
    """List who did what to which thing, the newest first; `what` is, for instance, `story:42`."""
    entries = audit.page(work.session, cursor, limit, what=what)
    return Listing(
        items=[EntryOut.model_validate(entry) for entry in entries.items], next=entries.next
    )


def _show_provider(work: WorkDep, settings: SettingsDep, name: str) -> ProviderOut:
    statuses = provider_actions.list_providers(work, settings)
    return next(_provider_shown(each, statuses) for each in statuses if each.name == name)


def _provider_shown(status: ProviderStatus, statuses: Sequence[ProviderStatus]) -> ProviderOut:
    is_default = status.name == status.provider
    apps = [each for each in statuses if each.provider == status.provider] if is_default else []
    shown = [ProviderAppOut.model_validate(each) for each in apps or [status]]
    return ProviderOut(
        **ProviderAppOut.model_validate(status).model_dump(), provider=status.provider, apps=shown
    )
