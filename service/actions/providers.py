"""What admins do with providers: see what waits, hold a provider, release it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service import outbox
from service.actions.outages import find_outages
from service.broker.message_queues import MessageQueues
from service.domain.errors import Invalid, NotFound
from service.domain.people import Caller
from service.settings import Settings
from service.store.operations import failing, gauges, heartbeats, holds
from service.store.operations.gauges import Pace, Waiting
from service.store.operations.heartbeats import Heartbeat
from service.store.staff import audit
from service.unit_of_work import UnitOfWork

MAX_REASON = 500
UNKNOWN_CAUSE = "It has accepted nothing for a minute."


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Messages that wait at the broker; None while it is away."""

    name: str
    messages: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Messages and deliveries that wait, the workers that take them, and which are missing."""

    queues: list[Queue]
    providers: list[Waiting]
    workers: list[Heartbeat]
    warnings: list[str]


class ProviderState(StrEnum):
    """Whether a provider takes our pushes."""

    IN_USE = "in_use"
    FAILING = "failing"
    """It has accepted nothing for a minute, while deliveries wait for it."""
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """A provider: whether it is held or failing and why, and how it did in the last minute.

    `waiting` counts the deliveries that are not final. `cause` is None while it is in use.
    """

    name: str
    state: ProviderState
    cause: str | None
    waiting: int
    held: bool
    reason: str | None
    since: datetime | None
    held_by: str | None
    accepted_per_second: float
    error_share: float | None


def count_messages(queues: MessageQueues) -> list[Queue]:
    """Return how many messages wait in each queue."""
    names = (*outbox.QUEUES, outbox.STRANGERS_QUEUE)
    return [Queue(name=name, messages=queues.count(name)) for name in names]


def overview(work: UnitOfWork, queues: MessageQueues, settings: Settings) -> Overview:
    """Return what waits, for every provider that is in use or has deliveries waiting."""
    return Overview(
        queues=count_messages(queues),
        providers=list(gauges.backlogs(work.session, settings.providers).values()),
        workers=heartbeats.alive(work.session),
        warnings=find_outages(work.session),
    )


def list_providers(work: UnitOfWork, settings: Settings) -> list[ProviderStatus]:
    """Return the providers that are in use, held, or have deliveries waiting."""
    held = holds.held(work.session)
    pace = gauges.pace(work.session)
    waiting = gauges.waiting(work.session)
    causes = failing.causes(work.session)
    names = (*settings.providers, *sorted({*held, *pace, *waiting}))
    return [
        _status(
            waiting.get(name, Waiting(name=name)),
            held.get(name),
            pace.get(name, Pace(name=name)),
            causes.get(name),
        )
        for name in dict.fromkeys(names)
    ]


def hold(work: UnitOfWork, settings: Settings, provider: str, reason: str, caller: Caller) -> None:
    """Stop using a provider until somebody releases it."""
    text = clean_reason(reason)
    _require_provider(work, settings, provider)
    # A key may have any label, but only a worker's own hold may be ended by a probe.
    holder = caller.name if caller.label == holds.WORKER else caller.label
    holds.hold(work.session, provider, text, holder)
    audit.write(
        work.session, caller.name, "hold", f"provider:{provider}", reason=text, by=caller.label
    )


def clean_reason(reason: str) -> str:
    """Return a reason on one line; raises `Invalid` when it is empty, long or unprintable."""
    text = " ".join(reason.split())
    if not text or len(text) > MAX_REASON or not text.isprintable():
        raise Invalid("reason", f"Say why, in 1 to {MAX_REASON} characters.")
    return text


def release(work: UnitOfWork, settings: Settings, provider: str, caller: Caller) -> None:
    """Use a provider again; its waiting deliveries go on at once."""
    _require_provider(work, settings, provider)
    if not holds.release(work.session, provider):
        return
    for alert_id, queue in holds.wake(work.session, provider):
        work.outbox.add(outbox.deliver(alert_id, queue))
    audit.write(work.session, caller.name, "release", f"provider:{provider}", by=caller.label)


def _require_provider(work: UnitOfWork, settings: Settings, provider: str) -> None:
    if provider not in {status.name for status in list_providers(work, settings)}:
        raise NotFound(f"There is no provider {provider[:40]!r} in use.")


def _status(
    waiting: Waiting, hold: holds.Hold | None, pace: Pace, cause: str | None
) -> ProviderStatus:
    state = ProviderState.IN_USE
    if hold is not None:
        state, cause = ProviderState.HELD, hold.reason
    elif cause is not None and not pace.accepted_per_second:
        state, cause = ProviderState.FAILING, cause or UNKNOWN_CAUSE
    return ProviderStatus(
        name=waiting.name,
        state=state,
        cause=None if state is ProviderState.IN_USE else cause,
        waiting=waiting.pending + waiting.leased + waiting.retrying,
        held=hold is not None,
        reason=None if hold is None else hold.reason,
        since=None if hold is None else hold.since,
        held_by=None if hold is None else hold.held_by,
        accepted_per_second=pace.accepted_per_second,
        error_share=pace.error_share,
    )
