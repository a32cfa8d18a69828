"""What is wrong now, the worst first: the verdict on Control, and what alarms are about."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from service.actions import outages
from service.actions.providers import ProviderState, ProviderStatus, list_providers
from service.domain.device import PROVIDER_LABELS
from service.settings import Settings
from service.store.operations import capacity, gauges, holds
from service.unit_of_work import UnitOfWork

RECENT = timedelta(minutes=15)
"""So long an alert that ended badly is a trouble of now."""
LEAST_DEVICES = 20
"""Smaller audiences say nothing about a share."""
BURIED_SHARE = 0.1
_OUTAGE_ADVICE = {
    "pause": "An admin resumes it in Control, or by newszop resume.",
    "sweep": "Start newszop sweep again; its log says why it ended.",
    "workers": "Start newszop work again; its log says why it ended.",
}
LEAST_FREE = 0.05
MOST_CONNECTIONS = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that a person should do something about.

    `key` names it for as long as it lasts. A severe one keeps alerts from people now.
    """

    key: str
    sentence: str
    advice: str
    since: datetime | None = None
    severe: bool = False
    ends: bool = True
    """Whether it can end; what has happened to an alert cannot."""


def list_troubles(work: UnitOfWork, settings: Settings) -> list[Trouble]:
    """Return what is wrong now, what keeps alerts from people first."""
    troubles = [
        *_outages(work),
        *_providers(work, settings),
        *_canary(work, settings),
        *_alerts(work, settings),
        *_capacity(work),
    ]
    return sorted(troubles, key=lambda trouble: not trouble.severe)


def _outages(work: UnitOfWork) -> Iterator[Trouble]:
    for sentence in outages.find_outages(work.session):
        part = sentence.partition(":")[0]
        yield Trouble(
            key=f"outage {part}",
            sentence=f"{sentence[:1].upper()}{sentence[1:]}.",
            advice=_OUTAGE_ADVICE.get(part, _OUTAGE_ADVICE["workers"]),
            severe=True,
        )


def _providers(work: UnitOfWork, settings: Settings) -> Iterator[Trouble]:
    for status in list_providers(work, settings):
        if status.state is ProviderState.IN_USE:
            continue
        label = PROVIDER_LABELS.get(status.name, status.name)
        state = "held" if status.held else "failing"
        cause = _end(status.cause or "no cause is known")
        yield Trouble(
            key=f"provider {status.name} {state}",
            sentence=f"{label} is {state}, {status.waiting:,} wait: {cause}",
            advice=advise_on_provider(status),
            since=status.since,
            severe=status.waiting > 0 or status.held,
        )


def _end(cause: str) -> str:
    """Return a provider's words as the end of a sentence."""
    return cause if cause.endswith((".", "!", "?")) else f"{cause}."


def advise_on_provider(status: ProviderStatus) -> str:
    """Return what helps when a provider is held or failing."""
    if status.held_by not in (None, holds.WORKER):
        return f"{status.held_by} holds it. An admin releases it in Control."
    if status.held:
        return (
            "Other devices get the alert. An admin mends what the reason says, runs newszop doctor "
            "and releases it in Control; it is also tried by itself every 30 seconds."
        )
    return (
        "Other devices get the alert, and these are tried again until it expires. If it lasts, an "
        "admin runs newszop doctor, and holds the provider in Control."
    )


def _canary(work: UnitOfWork, settings: Settings) -> Iterator[Trouble]:
    last = gauges.last_canary(work.session)
    if last is None or work.now - last <= timedelta(minutes=settings.canary_minutes):
        return
    yield Trouble(
        key="canary late",
        sentence=f"The canary is late: no dry run has come through since {last:%H:%M} UTC.",
        advice="Look in the logs of the workers and of the sweep.",
        since=last,
    )


def _alerts(work: UnitOfWork, settings: Settings) -> Iterator[Trouble]:
    for end in gauges.recent_endings(work.session, work.now - RECENT):
        reachable = end.planned - end.gone
        if reachable < LEAST_DEVICES:
            continue
        share = end.accepted / reachable
        page = f"{settings.public_url}/desk/alerts/{end.alert_id}"
        if share < settings.alarm_accepted_share:
            yield Trouble(
                key=f"alert {end.alert_id} missed",
                sentence=f"“{end.title}” ended with {end.accepted:,} of {reachable:,} accepted.",
                advice=f"Its page says why: {page}",
                since=end.finished_at,
                ends=False,
            )
        elif end.buried > BURIED_SHARE * reachable:
            yield Trouble(
                key=f"alert {end.alert_id} buried",
                sentence=f"“{end.title}”: {end.buried:,} of {reachable:,} pushes were given up.",
                advice=f"Mend the cause and replay them: {page}",
                since=end.finished_at,
                ends=False,
            )


def _capacity(work: UnitOfWork) -> Iterator[Trouble]:
    disk = shutil.disk_usage(Path.cwd())
    if disk.free < LEAST_FREE * disk.total:
        yield Trouble(
            key="disk low",
            sentence=f"The disk is nearly full: {disk.free // 2**20:,} MiB are left.",
            advice="Free some space; PostgreSQL stops when it has none.",
        )
    share = capacity.connections_in_use(work.session)
    if share > MOST_CONNECTIONS:
        yield Trouble(
            key="database connections",
            sentence=f"{100 * share:.0f} % of PostgreSQL's connections are in use.",
            advice="Raise max_connections, or run fewer processes, or use a pooler.",
        )
