"""The control room: what waits, who works, which provider is held, what was given up.

Its live part is one fragment; the page asks for it again every other second and says how old it
is when no answer comes.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import redis
from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from service.actions import alerts as alert_actions
from service.actions import providers as provider_actions
from service.actions import replays
from service.domain.errors import Invalid
from service.http.dependencies import Cursor, Id, RedisDep, SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import alerts
from service.store.deliveries import dead_letters
from service.store.operations import gauges
from service.store.staff import audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork
from service.web import charts, form_guards
from service.web.rendering import PRIVATE, query_string, render
from service.web.visitors import Admin, AdminActing

router = APIRouter(prefix="/control")
SHOWN_LETTERS = 50
SHOWN_DEEDS = 60
MINUTES = {"hour": 60, "day": 24 * 60}
ProviderName = Annotated[str, Path(max_length=40)]


@dataclass(frozen=True, slots=True)
class _Letters:
    """Which dead letters the admin looks at."""

    alert: str = ""
    provider: str = ""
    reason: str = ""

    def filter(self) -> dead_letters.Filter:
        """Return it as the store knows it."""
        known = self.alert.isascii() and self.alert.isdigit() and len(self.alert) < 20  # noqa: PLR2004 - digits of 2**63
        return dead_letters.Filter(
            alert_id=int(self.alert) if known else None,
            provider=self.provider or None,
            reason=self.reason or None,
        )


@router.get("")
def show(
    request: Request,
    work: WorkDep,
    client: RedisDep,
    settings: SettingsDep,
    _: Admin,
    alert: Annotated[str, Query(max_length=20)] = "",
    provider: Annotated[str, Query(max_length=40)] = "",
    reason: Annotated[str, Query(max_length=300)] = "",
    span: str = "hour",
    cursor: Cursor = None,
) -> Response:
    """Show the whole room."""
    chosen = _Letters(alert, provider, reason)
    letters = dead_letters.page(work.session, chosen.filter(), cursor, SHOWN_LETTERS)
    return render(
        request,
        "control.html",
        letters=letters.items,
        next=query_string(alert=alert, provider=provider, reason=reason, cursor=letters.next)
        if letters.next
        else "",
        chosen=chosen,
        span=span if span in MINUTES else "hour",
        history=_history(work, span),
        **_live(work, client, settings),
    )


@router.get("/live")
def live(
    request: Request, work: WorkDep, client: RedisDep, settings: SettingsDep, _: Admin
) -> Response:
    """Return the live part anew."""
    return render(request, "control_live.html", **_live(work, client, settings))


def _live(work: UnitOfWork, client: redis.Redis, settings: Settings) -> dict[str, Any]:
    running = alerts.running_alerts(work.session)
    overview = provider_actions.overview(work, client, settings)
    return {
        "overview": overview,
        "waiting": {one.name: one for one in overview.providers},
        "providers": provider_actions.list_providers(work, settings),
        "running": running,
        "canary": gauges.last_canary(work.session),
        "canary_late_s": 60 * settings.canary_minutes,
        "stories": stories.many(work.session, {one.alert.story_id for one in running}),
    }


def _history(work: UnitOfWork, span: str) -> charts.Chart:
    minutes = MINUTES.get(span, MINUTES["hour"])
    series = gauges.accepted_per_minute(work.session, work.now, minutes)
    return charts.chart(series, minutes)


@router.post("/providers/{name}/hold")
def hold(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: ProviderName,
    reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Stop using a provider, with a reason that others read."""
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
    """Use a provider again."""
    provider_actions.release(work, settings, name, caller)
    return _done(request, "Released. What waited goes on.")


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
    """Push again the ticked dead letters, or all that fit the filter."""
    if not every and not letter:
        return _done(request, "Nothing was replayed: tick what to replay, or replay all that fit.")
    which = _Letters(alert, provider, reason).filter()
    if not every:
        which = dead_letters.Filter(ids=tuple(letter))
    devices = replays.replay_matching(work, which, caller)
    said = f"{devices:,} devices are tried again." if devices else "There was nothing to replay."
    return _done(request, said)


@router.get("/audit")
def audit_trail(
    request: Request,
    work: WorkDep,
    _: Admin,
    what: Annotated[str, Query(max_length=100)] = "",
    cursor: Cursor = None,
) -> Response:
    """Show who did what to what."""
    found = audit.page(work.session, cursor, SHOWN_DEEDS, what=what or None)
    return render(
        request,
        "audit.html",
        deeds=found.items,
        what=what,
        next=query_string(what=what, cursor=found.next) if found.next else "",
    )


def _done(request: Request, sentence: str) -> Response:
    answer = RedirectResponse("/control", 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, sentence)
    return answer
