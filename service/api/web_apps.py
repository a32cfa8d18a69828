"""What a page of a web app's site has to know of the app. Public, as the page is."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from service import provider_door
from service.actions.apps import app_lookup
from service.domain.errors import NotFound
from service.http.dependencies import SettingsDep, WorkDep
from service.store.operations import apps

router = APIRouter(prefix="/api/web-apps", tags=["readers"])
CACHE = "public, max-age=60"


class WebApp(BaseModel):
    """A web app as its pages see it."""

    name: str
    vapid_key: str | None = Field(
        description="The public key to subscribe with (`applicationServerKey`), base64url; null "
        "where Web Push is not set up."
    )
    prompt: dict[str, Any] = Field(
        description="The rules and words of the soft prompt, as the app has them."
    )


@router.get("/{name}")
def show_web_app(work: WorkDep, settings: SettingsDep, response: Response, name: str) -> WebApp:
    """Return a web app's key and the rules of its prompt."""
    app = apps.get(work.session, name)
    if app is None and name == apps.WEB_PUSH:
        key = provider_door.vapid_public_key()
    elif app is None or app.provider != apps.WEB_PUSH or app.disabled_at is not None:
        raise NotFound(f"There is no web app {name[:40]!r}.")
    else:
        key = provider_door.app_vapid_key(app_lookup.open_app(settings.seal_keys, app))
    response.headers["Cache-Control"] = CACHE
    return WebApp(name=name, vapid_key=key, prompt=dict(app.prompt) if app else {})
