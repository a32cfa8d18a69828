"""What admins do with providers: see what waits, hold a provider, release it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service import outbox
from service.actions.outages import find_outages
from service.broker.message_queues import MessageQueues
from service.domain.errors import Invalid, NotFound
from service.domain.people import Caller
from service.settings import Settings
from service.store.operations import apps, failing, gauges, heartbeats, holds, pauses
from service.store.operations.apps import App
from service.store.operations.failing import FailingPushes
from service.store.operations.gauges import Pace, Waiting
from service.store.operations.heartbeats import Heartbeat
from service.store.staff import audit
from service.unit_of_work import UnitOfWork

MAX_REASON = 500
PATIENCE_S = 60
"""So long pushes may be retried, or wait, without an acceptance before that is a state."""
FAILING_SHARE = 0.5
LEAST_FAILING = 10
"""Fewer failing pushes than this say nothing about a share."""


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
    """It accepts nothing of what waits for it, or fails more than half of what it answers."""
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """An app: whether it is held or failing and why, and how it did in the last minute.

    A provider's default app has the provider's name. `waiting` counts the deliveries that are not
    final. `cause` is None while it is in use.
    """

    name: str
    provider: str
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
    """Return what waits, for every app that is in use or has deliveries waiting."""
    names = (*settings.providers, *_others_in_use(apps.every_app(work.session)))
    return Overview(
        queues=count_messages(queues),
        providers=list(gauges.backlogs(work.session, names).values()),
        workers=heartbeats.alive(work.session),
        warnings=find_outages(work.session),
    )


def list_providers(work: UnitOfWork, settings: Settings) -> list[ProviderStatus]:
    """Return the apps that are in use, held, or have deliveries waiting: the default ones first."""
    rows = apps.every_app(work.session)
    held = holds.held(work.session)
    pace = gauges.pace(work.session)
    waiting = gauges.waiting(work.session)
    failures = failing.failing_pushes(work.session)
    names = (*settings.providers, *_others_in_use(rows), *sorted({*held, *pace, *waiting}))
    unusable = pauses.unusable(work.session, names)
    return [
        _status(
            waiting.get(name, Waiting(name=name)),
            held.get(name),
            pace.get(name, Pace(name=name)),
            failures.get(name),
            work.now,
            provider=rows[name].provider if name in rows else name,
            is_usable=name not in unusable,
        )
        for name in dict.fromkeys(names)
    ]


def _others_in_use(rows: Mapping[str, App]) -> list[str]:
    """Return the names of the apps that no environment has, by name."""
    return [name for name, app in rows.items() if not app.is_default and app.disabled_at is None]


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
    waiting: Waiting,
    hold: holds.Hold | None,
    pace: Pace,
    failure: FailingPushes | None,
    now: datetime,
    *,
    provider: str,
    is_usable: bool,
) -> ProviderStatus:
    state, cause, since = ProviderState.IN_USE, None, None
    if hold is not None:
        state, cause, since = ProviderState.HELD, hold.reason, hold.since
    elif is_usable:  # what waits for the end of a pause is nobody's failure
        cause = why_failing(waiting, pace, failure, now)
        if cause is not None:
            state = ProviderState.FAILING
            since = failure.since if failure else now - timedelta(seconds=waiting.oldest_seconds)
    return ProviderStatus(
        name=waiting.name,
        provider=provider,
        state=state,
        cause=cause,
        waiting=waiting.pending + waiting.leased + waiting.retrying,
        held=hold is not None,
        reason=None if hold is None else hold.reason,
        since=since,
        held_by=None if hold is None else hold.held_by,
        accepted_per_second=pace.accepted_per_second,
        error_share=pace.error_share,
    )


def why_failing(
    waiting: Waiting, pace: Pace, failure: FailingPushes | None, now: datetime
) -> str | None:
    """Return why a provider that is not held is failing; None while it is in use.

    It fails when pushes are retried for a minute, or wait for one, and none is accepted; and when
    more than half of what it answered in the last minute has to be tried again or was refused.
    """
    reason = failure.reason if failure else ""
    vain = failure is not None and (now - failure.since).total_seconds() > PATIENCE_S
    if vain and not pace.accepted_per_second:
        return reason or "It has accepted nothing for a minute."
    share = pace.error_share or 0.0
    if share > FAILING_SHARE and waiting.retrying >= LEAST_FAILING:
        return f"{100 * share:.0f} % of its answers are failures. {reason}".strip()
    waits = waiting.pending + waiting.leased > 0 and waiting.oldest_seconds > PATIENCE_S
    if waits and not pace.accepted_per_second:
        return "Pushes wait for it, and it has accepted none for a minute."
    return None
