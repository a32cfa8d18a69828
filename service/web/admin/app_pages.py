"""The apps that alerts are pushed through: add one, change it, give it new credentials.

What is done is done by the actions that `/api/admin/apps` and `newszop app` use. Credentials come
in and are never shown, not even to the person who has just typed them.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Request, Response

from service import provider_door
from service.actions.apps import app_administration as app_actions
from service.actions.apps.app_administration import AppChange, AppStatus
from service.domain.errors import Conflict, Invalid, NotFound
from service.domain.people import Caller
from service.http.api_document import Router
from service.http.dependencies import SettingsDep, WorkDep
from service.provider_door import WEB_PUSH, AppField
from service.settings import Settings
from service.unit_of_work import UnitOfWork
from service.web.admin import app_forms
from service.web.admin.app_forms import FormValues, Values, form_fields, label_of
from service.web.admin.site_setup import site_setup
from service.web.rendering import redirect, render
from service.web.visitors import Admin, AdminActing

router = Router(prefix="/control/apps", in_document=False)
AppName = Annotated[str, Path(max_length=40)]
NO_APPS = frozenset({"console"})
"""Providers that have one app only: it has no settings."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a form: the field's name, empty where it is none of them, and why."""

    field: str
    detail: str

    @property
    def sentence(self) -> str:
        """The fault with its field's label, for the head of the page."""
        return f"{label_of(self.field)}: {self.detail}" if self.field else self.detail


@router.get("")
def show_all(request: Request, work: WorkDep, settings: SettingsDep, _: Admin) -> Response:
    """List the apps, and what each is doing."""
    statuses = app_actions.list_apps(work, settings)
    return render(
        request,
        "apps.html",
        lines=[(status, app_state(status)) for status in statuses],
        providers=[name for name in provider_door.settings_classes() if name not in NO_APPS],
    )


@router.get("/new/{provider}")
def show_new(request: Request, _: Admin, provider: AppName) -> Response:
    """Show the form of a new app."""
    return _show_new(request, provider, {}, None)


@router.post("/new/{provider}")
def add(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    provider: AppName,
    values: FormValues,
) -> Response:
    """Add an app."""
    fields = _fields_of(provider)
    name = values.get("name", "").strip()
    change = AppChange(
        credentials=app_forms.read_credentials(fields, values) or None,
        options={k: v for k, v in app_forms.read_options(fields, values, {}).items() if v},
        origins=tuple(values.get("origins", "").split()) if provider == WEB_PUSH else None,
    )
    try:
        with work.session.begin_nested():
            app_actions.add_app(work, settings.seal_keys, name, provider, change, caller)
    except (Invalid, Conflict) as refusal:
        return _show_new(request, provider, values, _fault(refusal))
    return redirect(request, f"/control/apps/{name}", f"{name} is added. Devices can register now.")


@router.get("/{name}")
def show(
    request: Request, work: WorkDep, settings: SettingsDep, _: Admin, name: AppName
) -> Response:
    """Show an app: its state, its options, and for a web app how a site is set up."""
    return _show(request, work, settings, name)


@router.post("/{name}")
def save(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: AppName,
    values: FormValues,
) -> Response:
    """Save an app's options."""
    status = app_actions.show_app(work, settings, name)
    options = app_forms.read_options(_fields_of(status.provider), values, status.options)
    if not options:
        return redirect(request, f"/control/apps/{name}", "Nothing was changed.")
    change = AppChange(options=options)
    return _change(request, work, settings, name, change, caller, values, "Saved.")


@router.post("/{name}/site")
def save_site(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: AppName,
    values: FormValues,
) -> Response:
    """Save a web app's sites, and when its pages ask."""
    change = app_forms.read_site(values, app_actions.show_app(work, settings, name))
    return _change(request, work, settings, name, change, caller, values, "Saved.")


@router.post("/{name}/credentials")
def rotate(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: AppName,
    values: FormValues,
) -> Response:
    """Give an app new credentials; running alerts go on with them."""
    status = app_actions.show_app(work, settings, name)
    fields = _fields_of(status.provider)
    credentials = app_forms.read_credentials(fields, values)
    if not credentials:
        fault = Fault("", "Nothing was filled in, so the credentials are as they were.")
        return _show(request, work, settings, name, fault=fault)
    adds_keys = "adds_keys" in values
    change = AppChange(credentials=credentials, adds_keys=adds_keys)
    flash = "The new credentials are in use within seconds, in running alerts too."
    return _change(request, work, settings, name, change, caller, values, flash)


@router.post("/{name}/login-key")
def set_login_key(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: AdminActing,
    name: AppName,
    values: FormValues,
) -> Response:
    """Set what the publisher's backend signs logins with; empty, the app takes no logins."""
    change = AppChange(login_key=values.get("login_key", "").strip())
    flash = "Logins are checked with the new key." if change.login_key else "It takes no logins."
    return _change(request, work, settings, name, change, caller, values, flash)


@router.post("/{name}/disable")
def disable(
    request: Request, work: WorkDep, settings: SettingsDep, caller: AdminActing, name: AppName
) -> Response:
    """Push nothing more through an app; its devices stay."""
    change, flash = AppChange(disabled=True), "Disabled. Its pushes wait or expire."
    return _change(request, work, settings, name, change, caller, {}, flash)


@router.post("/{name}/enable")
def enable(
    request: Request, work: WorkDep, settings: SettingsDep, caller: AdminActing, name: AppName
) -> Response:
    """Push through an app again."""
    change, flash = AppChange(disabled=False), "In use again. What waited goes on."
    return _change(request, work, settings, name, change, caller, {}, flash)


def app_state(status: AppStatus) -> tuple[str, str]:
    """Return an app's state in words, and its tone."""
    if status.disabled:
        return "Disabled", "wait"
    if status.held:
        return "Held", "bad"
    return ("Cannot be used", "bad") if status.reason else ("In use", "good")


def _change(
    request: Request,
    work: UnitOfWork,
    settings: Settings,
    name: str,
    change: AppChange,
    caller: Caller,
    values: Values,
    flash: str,
) -> Response:
    try:
        with work.session.begin_nested():
            app_actions.change_app(work, settings, name, change, caller)
    except (Invalid, Conflict) as refusal:
        return _show(request, work, settings, name, values=values, fault=_fault(refusal))
    return redirect(request, f"/control/apps/{name}", flash)


def _show(
    request: Request,
    work: UnitOfWork,
    settings: Settings,
    name: str,
    *,
    values: Values | None = None,
    fault: Fault | None = None,
) -> Response:
    status = app_actions.show_app(work, settings, name)
    shown = app_forms.option_texts(status.options) | dict(values or {})
    fields = form_fields(_fields_of(status.provider), shown, is_default=status.is_default)
    is_web = status.provider == WEB_PUSH
    return render(
        request,
        "app.html",
        status=422 if fault else 200,
        app=status,
        state=app_state(status),
        options=[field for field in fields if not field.is_secret],
        credentials=[field for field in fields if field.is_secret],
        setup=site_setup(settings, name) if is_web else None,
        origins=shown.get("origins", "\n".join(status.origins)),
        prompt=app_forms.prompt_texts(status.prompt),
        fault=fault,
    )


def _show_new(request: Request, provider: str, values: Values, fault: Fault | None) -> Response:
    fields: list[Any] = form_fields(_fields_of(provider), values)
    return render(
        request,
        "app_new.html",
        status=422 if fault else 200,
        provider=provider,
        fields=fields,
        name=values.get("name", ""),
        origins=values.get("origins", ""),
        is_web=provider == WEB_PUSH,
        fault=fault,
    )


def _fields_of(provider: str) -> tuple[AppField, ...]:
    if provider not in provider_door.settings_classes():
        raise NotFound("There is no such provider.")
    return provider_door.app_fields(provider)


def _fault(refusal: Invalid | Conflict) -> Fault:
    """Return what is wrong; a name that is taken is the name's fault."""
    field = refusal.field if isinstance(refusal, Invalid) else ""
    return Fault(field, refusal.detail)
