"""The control room: queues, workers, providers, running alerts, dead letters.

Its live part is one fragment. The page fetches it every two seconds, and shows its age when the
server does not respond.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Form, Path, Query, Request, Response

from service.actions import alerts as alert_actions
from service.actions import pauses as pause_actions
from service.actions import providers as provider_actions
from service.actions import replays
from service.actions.operations import alarm_watch
from service.actions.operations.troubles import Trouble, list_troubles
from service.actions.providers import ProviderState
from service.broker.message_queues import MessageQueues
from service.domain.errors import Invalid
from service.http.api_document import Router
from service.http.dependencies import Cursor, Id, QueuesDep, SettingsDep, WorkDep, limit
from service.settings import Settings
from service.store.alerts import alerts
from service.store.deliveries import dead_letters
from service.store.operations import gauges, pauses
from service.store.staff import audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork
from service.web.admin.provider_charts import PERIODS, draw_charts
from service.web.rendering import query_string, redirect, render
from service.web.visitors import Admin, AdminActing

router = Router(prefix="/control", in_document=False)
LETTERS_PER_PAGE = 50
TEST_ALARMS_PER_MINUTE = 4
ProviderName = Annotated[str, Path(max_length=40)]


@dataclass(frozen=True, slots=True)
class _LetterFilter:
    """The dead letters that the page shows, as its form has them."""

    alert: str = ""
    provider: str = ""
    reason: str = ""

    def to_query(self) -> dead_letters.Filter:
        """Return the filter that the store understands."""
        is_id = self.alert.isascii() and self.alert.isdigit() and len(self.alert) < 20  # noqa: PLR2004 - digits of 2**63
        return dead_letters.Filter(
            alert_id=int(self.alert) if is_id else None,
            provider=self.provider or None,
            reason=self.reason or None,
        )


@router.get("")
def show(
    request: Request,
    work: WorkDep,
    queues: QueuesDep,
    settings: SettingsDep,
    _: Admin,
    alert: Annotated[str, Query(max_length=20)] = "",
    provider: Annotated[str, Query(max_length=40)] = "",
    reason: Annotated[str, Query(max_length=300)] = "",
    span: str = "hour",
    cursor: Cursor = None,
) -> Response:
    """Show the whole page."""
    letter_filter = _LetterFilter(alert, provider, reason)
    letters = dead_letters.page(work.session, letter_filter.to_query(), cursor, LETTERS_PER_PAGE)
    return render(
        request,
        "control.html",
        letters=letters.items,
        next=query_string(alert=alert, provider=provider, reason=reason, cursor=letters.next)
        if letters.next
        else "",
        letter_filter=letter_filter,
        span=span if span in PERIODS else "hour",
        periods=tuple(PERIODS),
        charts_of_providers=draw_charts(work, PERIODS.get(span, PERIODS["hour"])),
        **_live(work, queues, settings),
    )


@router.get("/live")
def live(
    request: Request, work: WorkDep, queues: QueuesDep, settings: SettingsDep, _: Admin
) -> Response:
    """Return the live part as it is now."""
    return render(request, "control_live.html", **_live(work, queues, settings))


def _live(work: UnitOfWork, queues: MessageQueues, settings: Settings) -> dict[str, Any]:
    running = alerts.running_alerts(work.session)
    overview = provider_actions.overview(work, queues, settings)
    return {
        "overview": overview,
        "troubles": _list_troubles(work, settings, overview),
        "backlogs": {one.name: one for one in overview.providers},
        "providers": sorted(provider_actions.list_providers(work, settings), key=_worst_first),
        "running": running,
        "pause": pauses.get(work.session),
        "canary": gauges.last_canary(work.session),
        "canary_late_s": 60 * settings.canary_minutes,
        "stories": stories.many(work.session, {one.alert.story_id for one in running}),
    }


def _list_troubles(
    work: UnitOfWork, settings: Settings, overview: provider_actions.Overview
) -> list[Trouble]:
    """Return what is wrong, a broker that is away first: it is the page that asked it."""
    if all(queue.messages is not None for queue in overview.queues):
        return list_troubles(work, settings)
    away = Trouble(
        key="broker",
        sentence="Redis is away: no alert starts.",
        advice="Start it again. Alerts that are being sent go on, and what was lost is sent again.",
        severe=True,
    )
    return [away, *list_troubles(work, settings)]


def _worst_first(provider: provider_actions.ProviderStatus) -> tuple[int, int]:
    order = (ProviderState.HELD, ProviderState.FAILING, ProviderState.IN_USE)
    return order.index(provider.state), -provider.waiting


@router.post("/providers/{name}/hold")
def hold(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: ProviderName,
    reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Hold a provider, with a reason that others can read."""
    try:
        provider_actions.hold(work, settings, name, reason, caller)
    except Invalid as refusal:
        return _done(request, f"Not held: {refusal.detail}")
    return _done(request, "Held. Its pushes wait.")


@router.post("/providers/{name}/release")
def release(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: ProviderName,
) -> Response:
    """Release a provider."""
    provider_actions.release(work, settings, name, caller)
    return _done(request, "Released. Its pushes go on.")


@router.post("/pause")
def pause(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Pause all sending, with a reason that others can read."""
    try:
        pause_actions.pause(work, reason, caller)
    except Invalid as refusal:
        return _done(request, f"Not paused: {refusal.detail}")
    return _done(request, "Paused. Nothing is sent until somebody resumes.")


@router.post("/resume")
def resume(request: Request, work: WorkDep, caller: AdminActing) -> Response:
    """Let pushes leave again."""
    pause_actions.resume(work, caller)
    return _done(request, "Resumed. What waited goes on.")


@router.post("/alerts/{alert_id}/stop")
def stop(
    request: Request, work: WorkDep, caller: AdminActing, alert_id: Annotated[Id, Path()]
) -> Response:
    """Stop a running alert."""
    alert_actions.stop(work, alert_id, caller)
    return _done(request, "Stopped. The totals settle within a second or so.")


@router.post("/dead-letters/replay")
def replay(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    letter: Annotated[list[Id], Form(max_length=200)] = [],  # noqa: B006 - FastAPI copies it
    alert: Annotated[str, Form(max_length=20)] = "",
    provider: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form(max_length=300)] = "",
    every: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Push the selected dead letters again, or all that match the filter."""
    if not every and not letter:
        return _done(request, "Nothing was tried again. Select some pushes, or all that match.")
    query = _LetterFilter(alert, provider, reason).to_query()
    if not every:
        query = dead_letters.Filter(ids=tuple(letter))
    devices = replays.replay_matching(work, query, caller)
    if not devices:
        return _done(request, "There was nothing to try again.")
    return _done(request, f"{devices:,} devices are being tried again.")


@router.post("/alarms/test")
def send_test_alarm(
    request: Request, work: WorkDep, settings: SettingsDep, caller: AdminActing
) -> Response:
    """Send a test alarm, and say which addresses took it."""
    limit(request, "test alarms", caller.name, TEST_ALARMS_PER_MINUTE)
    results = alarm_watch.send_test(settings)
    audit.write(work.session, caller.name, "test alarm", "alarms", by=caller.label)
    if not results:
        return _done(request, "Nobody is told yet: set NEWSZOP_ALARM_URLS or NEWSZOP_ALARM_EMAILS.")
    words = [f"{one.target}: {one.fault or 'sent'}" for one in results]
    return _done(request, f"Test alarm. {'; '.join(words)[:200]}")


def _done(request: Request, sentence: str) -> Response:
    return redirect(request, "/control", sentence)
