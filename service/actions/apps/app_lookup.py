"""Which app a device belongs to, and whether its address fits that app."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from service import provider_door
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.provider_door import WEB_PUSH, AppValues
from service.sealing import SealKeys
from service.store.operations import apps
from service.store.operations.apps import App


@dataclass(frozen=True, slots=True)
class AppLookup:
    """The apps of some registrations, each read and opened once."""

    session: Session
    keys: SealKeys
    _apps: dict[tuple[str, str], AppValues | None] = field(default_factory=dict)

    def find(self, registration: Registration) -> AppValues | None:
        """Return the registration's app, as `find_app` does; raises `Invalid`."""
        name = (registration.provider, registration.app)
        if name not in self._apps:
            app = find_app(self.session, registration)
            self._apps[name] = None if app is None else open_app(self.keys, app)
        return self._apps[name]


def check_registration(lookup: AppLookup, registration: Registration) -> Registration:
    """Return the registration in its normal form, with its app; raises `Invalid`.

    Without an app it belongs to its provider's default app. Only Web Push needs that app's row
    then: it may have keys beside those of the environment.
    """
    app = lookup.find(registration)
    if app is None:
        valid = provider_door.check(registration.provider, registration)
    else:
        valid = provider_door.check_in_app(app, registration)
    if registration.p256dh is not None and valid.p256dh is None:
        raise Invalid("keys", "Only browsers have keys.")
    return valid


def find_app(session: Session, registration: Registration) -> App | None:
    """Return the row of the registration's app; None where the environment has all there is."""
    provider, name = registration.provider, registration.app or registration.provider
    if name == provider and provider != WEB_PUSH:
        return None
    if name == provider and provider not in provider_door.configured():
        return None
    app = apps.get(session, name)
    if name == provider:
        return app
    if app is None or app.disabled_at is not None:
        raise Invalid("app", f"There is no app {name[:40]!r} in use.")
    if app.provider != provider:
        raise Invalid("app", f"The app {name!r} is one of {app.provider}.")
    return app


def open_app(keys: SealKeys, app: App) -> AppValues:
    """Return the app with its credentials in the open, as far as our key opens them."""
    credentials = apps.open_credentials(keys, app)
    return AppValues(app.name, app.provider, _dump(credentials), _dump(app.options))


def _dump(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True)
