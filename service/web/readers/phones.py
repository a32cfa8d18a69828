"""The demo's phones: what the stand-ins received, drawn as screens. Exists in the demo only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import structlog
from fastapi import Query, Request, Response

from service.http.api_document import Router
from service.http.dependencies import SettingsDep, WorkDep
from service.settings import Settings
from service.store.alerts import alerts
from service.store.stories import stories
from service.web.rendering import PRIVATE, render
from service.web.visitors import StaffOrNone

log = structlog.get_logger()
router = Router(in_document=False)
TIMEOUT_S = 3.0
PUSHES_READ = 400
"""How many of each provider's newest pushes are read."""
PHONES_PER_PROVIDER = 2
PUSHES_PER_PHONE = 4
RECENT_ALERTS = 5
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
    """One device and the pushes on its screen, the newest first."""

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
    """Show the phones that got a push last, or those that one alert reached."""
    newest = [report.alert for report in alerts.page(work.session, None, RECENT_ALERTS).items]
    stories_by_id = stories.many(work.session, {one.story_id for one in newest})
    recent = [
        {"id": one.id, "title": one.title or stories_by_id[one.story_id].text.headline}
        for one in newest
        if not one.dry_run and (one.title or one.story_id in stories_by_id)
    ]
    return render(request, "phones.html", alert=alert, recent=recent, **_screens(settings, alert))


@router.get("/phones/screens")
def screens(request: Request, settings: SettingsDep, alert: _Alert = "") -> Response:
    """Return the screens as they are now."""
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
        with httpx.Client(base_url=settings.standins_url, timeout=TIMEOUT_S) as client:
            for provider in NAMES:
                counts, items = _fetch_newest(client, provider, alert)
                phones = _draw_phones(provider, items, now)
                context["count"] += counts["count"]
                context["devices"] += counts["devices"]
                context["shown"] += sum(len(phone.pushes) for phone in phones)
                context["phones"] += phones
    except (httpx.HTTPError, ValueError) as error:
        log.warning("stand-ins do not answer", error=type(error).__name__)
        context["away"] = True
    return context


def _fetch_newest(
    client: httpx.Client, provider: str, alert: str
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return how many pushes there are, and the newest of them."""
    query = {"provider": provider} | ({"alert_id": alert} if alert else {})
    summary = client.get("/control/pushes", params=query | {"limit": "1"})
    if summary.is_client_error:
        return {"count": 0, "devices": 0}, []
    counts = summary.raise_for_status().json()
    after = max(0, int(counts["count"]) - PUSHES_READ)
    page_query = query | {"limit": str(PUSHES_READ), "after": str(after)}
    page = client.get("/control/pushes", params=page_query).raise_for_status().json()
    return counts, page["items"]


def _draw_phones(provider: str, items: Iterable[Mapping[str, Any]], now: datetime) -> list[Phone]:
    """Return the devices reached last, each with the pushes that no later one has replaced."""
    phones: dict[str, Phone] = {}
    keys_by_address: dict[str, set[str]] = {}
    for item in reversed(list(items)):
        address = str(item["address"])
        if address not in phones:
            if len(phones) >= PHONES_PER_PROVIDER:
                continue
            phones[address] = Phone(provider, NAMES[provider], _shorten_address(address))
        key = str(item.get("collapse_key") or item.get("delivery_id"))
        keys = keys_by_address.setdefault(address, set())
        if key not in keys and len(keys) < PUSHES_PER_PHONE:
            keys.add(key)
            phones[address].pushes.append(_bubble(item, now))
    return list(phones.values())


def _bubble(item: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    arrival = datetime.fromisoformat(str(item["at"]))
    minutes = int((now - arrival).total_seconds() // 60)
    when = "now" if minutes < 1 else f"{minutes}m" if minutes < 60 else f"{arrival:%H:%M}"  # noqa: PLR2004 - minutes of an hour
    url = str(item.get("url") or "")
    return {
        "title": item.get("title") or "",
        "body": item.get("body") or "",
        "url": url if url.startswith(("http://", "https://")) else "",
        "when": when,
    }


def _shorten_address(address: str) -> str:
    """Return enough of an address to tell devices apart, and too little to push to it."""
    return f"…{address[-6:]}"
