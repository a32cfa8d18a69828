"""Apps over JSON: places to push through, with credentials that are never shown again."""

from typing import Annotated, Any

from fastapi import Path, Response, status
from pydantic import BaseModel, ConfigDict, Field

from service import provider_door
from service.actions.apps import app_administration as app_actions
from service.actions.apps import app_lookup
from service.actions.apps.app_administration import AppChange
from service.actions.apps.app_names import MOST_ORIGINS
from service.domain.errors import NotFound
from service.http.api_document import Router
from service.http.auth import AdminCaller
from service.http.dependencies import (
    Closed,
    Line,
    Listing,
    Moment,
    SettingsDep,
    WorkDep,
    at_most,
)
from service.store.operations import apps

router = Router(prefix="/api/admin/apps", tags=["admin"])
web_router = Router(prefix="/api/web-apps")
"""What a page of a web app's site has to know of the app. Public, as the page is."""
CACHE = "public, max-age=60"
AppName = Annotated[str, Path(max_length=40)]
Values = Annotated[dict[Line, Any], at_most(30)]


class AppPatch(Closed):
    """What may change of an app. A member left out stays as it is."""

    credentials: Values | None = Field(
        None,
        description="By name; the others stay. Write-only: a signing key's text under `key`, a "
        "list of keys, the newest first, under `vapid_keys`, a `service_account`.",
    )
    options: Values | None = Field(None, description="By name; the others stay, null removes one.")
    origins: Annotated[list[Line], at_most(MOST_ORIGINS)] | None = Field(
        None, description="Of a web app: the sites that its pages are on."
    )
    prompt: Values | None = Field(None, description="Of a web app: when its pages ask readers.")
    login_key: str | None = Field(
        None,
        max_length=4096,
        description="What the publisher's backend signs logins with: a secret of 32 characters or "
        "more, or a P-256 public key (PEM). Empty: no logins. Write-only.",
    )
    disabled: bool | None = Field(None, description="A disabled app's deliveries wait.")

    def change(self) -> AppChange:
        """Return the change as a value of the actions."""
        return AppChange(
            credentials=self.credentials,
            options=self.options,
            origins=None if self.origins is None else tuple(self.origins),
            prompt=self.prompt,
            login_key=self.login_key,
            disabled=self.disabled,
        )


class AppIn(AppPatch):
    """A new app."""

    name: Line = Field(examples=["sport-ios"])
    provider: Line = Field(examples=["apns"])


class AppOut(BaseModel):
    """An app without its credentials."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    provider: str
    is_default: bool = Field(description="Its credentials may come from the environment.")
    options: dict[str, Any]
    origins: list[str]
    prompt: dict[str, Any]
    has_credentials: bool
    credentials_at: Moment | None = Field(description="When its credentials were changed last.")
    has_login_key: bool
    devices: int = Field(description="Those seen lately, that is, registered or renewed.")
    stale_devices: int = Field(
        description="Those not seen for NEWSZOP_DEVICE_STALE_DAYS; alerts try them all the same."
    )
    held: bool
    reason: str | None = Field(description="Why it is held or cannot be used.")
    disabled: Moment | None


@router.get("")
def list_apps(work: WorkDep, settings: SettingsDep, _: AdminCaller) -> Listing[AppOut]:
    """List the apps: each provider's default app first."""
    statuses = app_actions.list_apps(work, settings)
    return Listing(items=[AppOut.model_validate(each) for each in statuses], next=None)


@router.post("", status_code=status.HTTP_201_CREATED)
def add_app(body: AppIn, work: WorkDep, settings: SettingsDep, caller: AdminCaller) -> AppOut:
    """Add an app; devices register with its name at once."""
    app_actions.add_app(work, settings.seal_keys, body.name, body.provider, body.change(), caller)
    return _show(work, settings, body.name)


@router.get("/{name}")
def show_app(name: AppName, work: WorkDep, settings: SettingsDep, _: AdminCaller) -> AppOut:
    """Show an app without its credentials."""
    return _show(work, settings, name)


@router.patch("/{name}")
def change_app(
    name: AppName, body: AppPatch, work: WorkDep, settings: SettingsDep, caller: AdminCaller
) -> AppOut:
    """Change an app. Running alerts go on with new credentials, without a restart."""
    app_actions.change_app(work, settings, name, body.change(), caller)
    return _show(work, settings, name)


def _show(work: WorkDep, settings: SettingsDep, name: str) -> AppOut:
    return AppOut.model_validate(app_actions.show_app(work, settings, name))


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


@web_router.get("/{name}", tags=["readers"])
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
