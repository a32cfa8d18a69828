"""What admins do with apps: add one, give it new credentials, disable it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service import outbox, provider_door
from service.actions.apps.app_lookup import open_app
from service.actions.apps.app_names import MOST_APPS, check_app_name, check_origins
from service.actions.apps.login_tokens import check_login_key
from service.domain.errors import Conflict, Invalid, require
from service.domain.people import Caller
from service.provider_door import WEB_PUSH
from service.sealing import CannotOpen, SealKeys, reseal, seal
from service.settings import Settings
from service.store.operations import apps, holds
from service.store.operations.apps import App
from service.store.readers import device_counts
from service.store.readers.device_counts import DeviceCount
from service.store.staff import audit
from service.unit_of_work import UnitOfWork

LONGEST_OPTIONS = 64 * 1024
"""Bytes of an app's credentials, and of its options, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChange:
    """What is new of an app; None leaves it as it is.

    Credentials and options are changed name by name; a value of None takes one away. With
    `adds_keys` a list of keys comes before the present one, for browsers that subscribed with that.
    """

    credentials: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = None
    origins: tuple[str, ...] | None = None
    prompt: Mapping[str, Any] | None = None
    login_key: str | None = None
    disabled: bool | None = None
    adds_keys: bool = False


_FIELDS = tuple(name for name in AppChange.__dataclass_fields__ if name != "adds_keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStatus:
    """An app without its credentials. `reason` is why it is held or cannot be used.

    `credentials_at` is when its own credentials were changed last.
    """

    name: str
    provider: str
    is_default: bool
    options: dict[str, Any]
    origins: list[str]
    prompt: dict[str, Any]
    has_credentials: bool
    credentials_at: datetime | None
    has_login_key: bool
    devices: int
    stale_devices: int
    held: bool
    reason: str | None
    disabled: datetime | None


def list_apps(work: UnitOfWork, settings: Settings) -> list[AppStatus]:
    """Return every app: the default app of each provider in use, then those with rows, by name."""
    rows = apps.every_app(work.session)
    defaults = {name: App(name=name, provider=name) for name in settings.providers}
    held = holds.held(work.session)
    devices = device_counts.count_by_app(work.session)
    changes = audit.last_changes(work.session, "app", "credentials")
    statuses = []
    for name, app in (defaults | rows).items():
        fault = _fault(settings.seal_keys, app)
        hold = held.get(name)
        count = devices.get(name, DeviceCount())
        status = _status(app, count, hold.reason if hold else None, fault)
        if status.has_credentials:
            status = replace(status, credentials_at=changes.get(name))
        statuses.append(status)
    return statuses


def show_app(work: UnitOfWork, settings: Settings, name: str) -> AppStatus:
    """Return one app; raises `NotFound`."""
    statuses = {status.name: status for status in list_apps(work, settings)}
    return require(statuses.get(name), "app")


def providers_in_use(work: UnitOfWork, default_apps: Sequence[str]) -> dict[str, str]:
    """Return the provider of each app that alerts go through, by the app's name."""
    rows = apps.every_app(work.session)
    defaults = {name: name for name in default_apps}
    others = {app.name: app.provider for app in rows.values() if not app.is_default}
    disabled = {app.name for app in rows.values() if app.disabled_at is not None}
    every = defaults | others
    return {name: provider for name, provider in every.items() if name not in disabled}


def add_app(
    work: UnitOfWork, keys: SealKeys, name: str, provider: str, change: AppChange, caller: Caller
) -> None:
    """Add an app; raises `Conflict` when its name is taken, `Invalid` for a wrong value."""
    check_app_name(name)
    providers = provider_door.settings_classes()
    if provider not in providers:
        raise Invalid("provider", f"Use one of {', '.join(providers)}.")
    if name in providers:
        raise Conflict(f"{name} is the name of that provider's default app.")
    if len(apps.every_app(work.session)) >= MOST_APPS:
        raise Conflict(f"There are {MOST_APPS} apps, and that is the most we keep.")
    app = _apply(keys, App(name=name, provider=provider), change)
    if not apps.add(work.session, app):
        raise Conflict(f"There is an app called {name}.")
    _write_audit(work, caller, "add app", app, change)


def change_app(
    work: UnitOfWork, settings: Settings, name: str, change: AppChange, caller: Caller
) -> None:
    """Change an app; new credentials are in use within seconds, and end a worker's hold."""
    current = apps.lock(work.session, name)
    if current is None and name in settings.providers:
        apps.add(work.session, App(name=name, provider=name))
        current = apps.lock(work.session, name)
    app = _apply(settings.seal_keys, require(current, "app"), change)
    if change.disabled is not None:
        app = replace(app, disabled_at=work.now if change.disabled else None)
    apps.save(work.session, app)
    if change.credentials or change.options:
        holds.release(work.session, name, by_probe=True)
    if change.credentials or change.options or change.disabled is False:
        for alert_id, queue in holds.wake(work.session, name):
            work.outbox.add(outbox.deliver(alert_id, queue))
    _write_audit(work, caller, "change app", app, change)


def reseal_apps(work: UnitOfWork, keys: SealKeys, caller: Caller) -> list[str]:
    """Seal with the present key what an earlier one sealed; return the names of those apps."""
    names = []
    for name in apps.every_app(work.session):
        app = require(apps.lock(work.session, name), "app")
        try:
            credentials = reseal(keys, app.credentials, apps.credentials_owner(name))
            login_key = reseal(keys, app.login_key, apps.login_owner(name))
        except CannotOpen:
            raise Conflict(f"No key of ours opens the credentials of {name}.") from None
        if (credentials, login_key) != (app.credentials, app.login_key):
            apps.save(work.session, replace(app, credentials=credentials, login_key=login_key))
            names.append(name)
    if names:
        audit.write(work.session, caller.name, "reseal apps", "apps", names=names)
    return names


def _apply(keys: SealKeys, app: App, change: AppChange) -> App:
    """Return the app with its change, if a provider can be made of it."""
    if change.options is not None:
        app = replace(app, options=_merge(app.options, change.options, "options"))
    if change.credentials is not None:
        current = apps.open_credentials(keys, app)
        new = _as_texts(change.credentials)
        credentials = _merge(
            current, _before_present_keys(current, new) if change.adds_keys else new, "credentials"
        )
        sealed = apps.seal_credentials(keys, app.name, credentials) if credentials else None
        app = replace(app, credentials=sealed)
    if change.origins is not None:
        app = replace(app, origins=check_origins(change.origins))
    if change.prompt is not None:
        app = replace(app, prompt=dict(change.prompt))
    if app.provider != WEB_PUSH and (app.origins or app.prompt):
        raise Invalid("origins", "Only a web app is on sites.")
    if change.login_key is not None:
        check_login_key(change.login_key)
        sealed_key = seal(keys, change.login_key, apps.login_owner(app.name))
        app = replace(app, login_key=sealed_key if change.login_key else None)
    if change.credentials is not None or change.options is not None:
        provider_door.check_app(open_app(keys, app))
    return app


def _merge(current: Mapping[str, Any], new: Mapping[str, Any], field: str) -> dict[str, Any]:
    every = {**current, **new}
    result = {name: value for name, value in every.items() if value is not None}
    if sum(len(name) + len(str(value)) for name, value in result.items()) > LONGEST_OPTIONS:
        raise Invalid(field, f"They take more than {LONGEST_OPTIONS:,} characters.")
    return result


def _before_present_keys(current: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return new credentials; a list of keys ends with the present ones, each key once."""
    present = {
        name: keys if isinstance(keys, list) else [keys]
        for name, keys in current.items()
        if isinstance(new.get(name), list)
    }
    return dict(new) | {name: list(dict.fromkeys([*new[name], *present[name]])) for name in present}


def _as_texts(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Return credentials; a service account that came as an object is its text."""
    return {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in credentials.items()
    }


def _fault(keys: SealKeys, app: App) -> str | None:
    """Return why no provider can be made of the app; None where one can."""
    if app.credentials is not None and not apps.open_credentials(keys, app):
        return "No key of ours opens its credentials: send them again."
    if app.is_default and app.credentials is None and not app.options:
        return None
    try:
        provider_door.check_app(open_app(keys, app))
    except Invalid as refusal:
        return f"{refusal.field}: {refusal.detail}"
    return None


def _status(app: App, count: DeviceCount, hold: str | None, fault: str | None) -> AppStatus:
    return AppStatus(
        name=app.name,
        provider=app.provider,
        is_default=app.is_default,
        options=dict(app.options),
        origins=list(app.origins),
        prompt=dict(app.prompt),
        has_credentials=app.credentials is not None,
        credentials_at=None,
        has_login_key=app.login_key is not None,
        devices=count.devices,
        stale_devices=count.stale,
        held=hold is not None,
        reason=hold or fault,
        disabled=app.disabled_at,
    )


def _write_audit(work: UnitOfWork, caller: Caller, verb: str, app: App, change: AppChange) -> None:
    names = [name for name in _FIELDS if getattr(change, name) is not None]
    audit.write(work.session, caller.name, verb, f"app:{app.name}", fields=names, by=caller.label)
