"""The demo's phones: what the stand-ins received, as it would stand on screens. Demo only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import structlog
from fastapi import APIRouter, Query, Request, Response

from service.http.dependencies import SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import alerts
from service.store.stories import stories
from service.web.rendering import PRIVATE, render
from service.web.visitors import StaffOrNone

log = structlog.get_logger()
router = APIRouter()
ANSWERS_WITHIN_S = 3.0
LOOKS_AT = 400
"""Pushes of each provider that are read: the newest."""
PHONES_A_PROVIDER = 2
PUSHES_A_PHONE = 4
RECENT = 5
NAMES: Mapping[str, str] = {
    "apns": "iPhone",
    "fcm": "Android phone",
    "webpush": "Browser",
    "hms": "Huawei phone",
    "expo": "Expo app",
}
_Alert = Annotated[str, Query(pattern=r"^\d{0,19}$")]


@dataclass(slots=True)
class Phone:
    """One device and what stands on its screen, the newest first."""

    provider: str
    name: str
    address: str
    pushes: list[dict[str, Any]] = field(default_factory=list)


@router.get("/phones")
def show(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    _: StaffOrNone,
    alert: _Alert = "",
) -> Response:
    """Show the phones that were reached last, or those that one alert reached."""
    newest = [report.alert for report in alerts.page(work.session, None, RECENT).items]
    heads = stories.many(work.session, {one.story_id for one in newest})
    recent = [
        {"id": one.id, "title": one.title or heads[one.story_id].text.headline}
        for one in newest
        if not one.dry_run and (one.title or one.story_id in heads)
    ]
    return render(request, "phones.html", alert=alert, recent=recent, **_screens(settings, alert))


@router.get("/phones/screens")
def screens(request: Request, settings: SettingsDep, alert: _Alert = "") -> Response:
    """Return the screens anew."""
    return render(request, "phones_screens.html", cache=PRIVATE, **_screens(settings, alert))


def _screens(settings: Settings, alert: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    context: dict[str, Any] = {
        "phones": [],
        "count": 0,
        "devices": 0,
        "shown": 0,
        "away": False,
        "clock": f"{now:%H:%M}",
        "day": f"{now:%A} {now.day} {now:%B}",
    }
    try:
        with httpx.Client(base_url=settings.standins_url, timeout=ANSWERS_WITHIN_S) as client:
            for provider in NAMES:
                counted, items = _newest(client, provider, alert)
                phones = _phones(provider, items, now)
                context["count"] += counted["count"]
                context["devices"] += counted["devices"]
                context["shown"] += sum(len(phone.pushes) for phone in phones)
                context["phones"] += phones
    except (httpx.HTTPError, ValueError) as error:
        log.warning("stand-ins do not answer", error=type(error).__name__)
        context["away"] = True
    return context


def _newest(
    client: httpx.Client, provider: str, alert: str
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return how many pushes there are, and the newest of them."""
    which = {"provider": provider} | ({"alert_id": alert} if alert else {})
    first = client.get("/control/pushes", params=which | {"limit": "1"})
    if first.is_client_error:
        return {"count": 0, "devices": 0}, []
    counted = first.raise_for_status().json()
    after = max(0, int(counted["count"]) - LOOKS_AT)
    page = which | {"limit": str(LOOKS_AT), "after": str(after)}
    found = client.get("/control/pushes", params=page).raise_for_status().json()
    return counted, found["items"]


def _phones(provider: str, items: Iterable[Mapping[str, Any]], now: datetime) -> list[Phone]:
    """Return the devices reached last, each with what has not been replaced on its screen."""
    phones: dict[str, Phone] = {}
    standing: dict[str, set[str]] = {}
    for item in reversed(list(items)):
        address = str(item["address"])
        if address not in phones:
            if len(phones) >= PHONES_A_PROVIDER:
                continue
            phones[address] = Phone(provider, NAMES[provider], _short(address))
        key = str(item.get("collapse_key") or item.get("delivery_id"))
        seen = standing.setdefault(address, set())
        if key not in seen and len(seen) < PUSHES_A_PHONE:
            seen.add(key)
            phones[address].pushes.append(_bubble(item, now))
    return list(phones.values())


def _bubble(item: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    at = datetime.fromisoformat(str(item["at"]))
    minutes = int((now - at).total_seconds() // 60)
    when = "now" if minutes < 1 else f"{minutes}m" if minutes < 60 else f"{at:%H:%M}"  # noqa: PLR2004 - minutes of an hour
    url = str(item.get("url") or "")
    return {
        "title": item.get("title") or "",
        "body": item.get("body") or "",
        "url": url if url.startswith(("http://", "https://")) else "",
        "when": when,
    }


def _short(address: str) -> str:
    """Return enough of an address to tell devices apart, and too little to push to one."""
    return f"…{address[-6:]}"
