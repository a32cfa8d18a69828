"""The one door from here to the providers: address checks, previews, settings, the VAPID key.

Behind it the only I/O is reading the settings and the key files that they name. The result is
cached while the environment stays the same.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.domain.device import Registration
from service.domain.errors import Invalid
from service.settings import Settings, SettingsError, explain
from workers import app_provider
from workers import provider as providers
from workers.app_provider import AppField
from workers.provider import AlertContent, CredentialRefused, Preview, Provider
from workers.providers import webpush

__all__ = [
    "AlertContent",
    "AppField",
    "AppValues",
    "Preview",
    "app_fields",
    "app_vapid_key",
    "check",
    "check_app",
    "check_in_app",
    "configured",
    "one_environment",
    "previews",
    "secret_names",
    "settings_classes",
    "start_check",
    "vapid_public_key",
]

WEB_PUSH = webpush.Provider.name

Value = TypeVar("Value")
_Environments = dict[str, tuple[tuple[str, str], ...]]
_environments: ContextVar[_Environments | None] = ContextVar("environments", default=None)
"""By the prefix of the settings' names; None where each check reads the environment."""


@dataclass(frozen=True, slots=True)
class AppValues:
    """An app as its provider is made of it: credentials in the open, and options, both as JSON."""

    name: str
    provider: str
    credentials: str = field(default="{}", repr=False)
    options: str = "{}"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class _ProvidersInUse(BaseSettings):
    """The service's one setting that matters here."""

    model_config = SettingsConfigDict(env_prefix="NEWSZOP_", env_file=".env", extra="ignore")

    providers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        Settings.model_fields["providers"].default
    )


def configured() -> tuple[str, ...]:
    """Return the names of the providers in use, as NEWSZOP_PROVIDERS has them."""
    return _configured(_environment("NEWSZOP_"))


def check(provider: str, registration: Registration) -> Registration:
    """Return the registration in its normal form; raises `Invalid`, which names the wrong field."""
    names = configured()
    if provider not in names:
        raise Invalid("provider", f"Use one of the providers in use here: {', '.join(names)}.")
    return _find(provider).check(registration)


def check_in_app(app: AppValues, registration: Registration) -> Registration:
    """Return the registration in its normal form, as `check` does, by the app's own values."""
    return _find_app(app).check(registration)


def check_app(app: AppValues) -> None:
    """Raise `Invalid`, which names the value, where no provider can be made of the app."""
    _find_app(app)


def app_fields(provider: str) -> tuple[AppField, ...]:
    """Return the options and credentials that an app of this provider has, in a form's order."""
    return app_provider.app_fields(provider)


def secret_names(provider: str) -> frozenset[str]:
    """Return which values of an app of this provider are sealed and never shown."""
    return app_provider.app_settings_class(provider).secrets


def app_vapid_key(app: AppValues) -> str | None:
    """Return the key that browsers subscribe with in a web app; None for another app."""
    provider = _find_app(app)
    return provider.public_key if isinstance(provider, webpush.Provider) else None


def previews(content: AlertContent, locale: str = "") -> dict[str, Preview]:
    """Return what the screens of each provider in use would show to a device of that locale."""
    return {name: _find(name).preview(content, locale) for name in configured()}


def vapid_public_key() -> str | None:
    """Return the key that browsers subscribe with, base64url; None without Web Push."""
    if WEB_PUSH not in configured():
        return None
    provider = _find(WEB_PUSH)
    return provider.public_key if isinstance(provider, webpush.Provider) else None


def settings_classes() -> dict[str, type[BaseSettings]]:
    """Return each provider's own settings by its name, in use or not."""
    return {name: providers.settings_class(name) for name in providers.provider_names()}


def start_check(settings: Settings) -> None:
    """Raise `SettingsError`, one line, when a provider in use is unknown or wrongly configured."""
    if not settings.providers:
        raise SettingsError("NEWSZOP_PROVIDERS: name at least one provider")
    names = providers.provider_names()
    for name in settings.providers:
        if name not in names:
            choices = ", ".join(names)
            raise SettingsError(f"NEWSZOP_PROVIDERS: there is no provider {name!r}; use {choices}")
        _find(name)


def _find(name: str) -> Provider:
    cls = providers.settings_class(name)
    return _read(name, _environment(str(cls.model_config.get("env_prefix", ""))))


def _find_app(app: AppValues) -> Provider:
    cls = providers.settings_class(app.provider)
    return _make_app(app, _environment(str(cls.model_config.get("env_prefix", ""))))


@lru_cache(maxsize=64)
def _make_app(app: AppValues, environment: tuple[tuple[str, str], ...]) -> Provider:
    del environment
    credentials, options = json.loads(app.credentials), json.loads(app.options)
    return app_provider.load_app(app.name, app.provider, credentials, options)


@lru_cache(maxsize=32)
def _read(name: str, environment: tuple[tuple[str, str], ...]) -> Provider:
    del environment  # the cache's key: another environment is read again
    return _in_one_line(providers.settings_class(name), lambda: providers.load_provider(name))


@lru_cache(maxsize=8)
def _configured(environment: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    del environment
    return _in_one_line(_ProvidersInUse, lambda: _ProvidersInUse().providers)


def _in_one_line(cls: type[BaseSettings], read: Callable[[], Value]) -> Value:
    try:
        return read()
    except ValidationError as error:
        raise SettingsError(explain(cls, error)) from None
    except CredentialRefused as refusal:
        raise SettingsError(refusal.verdict.why) from None


@contextmanager
def one_environment() -> Iterator[None]:
    """Read the environment once for all that is checked inside: it costs more than the check."""
    token = _environments.set({})
    try:
        yield
    finally:
        _environments.reset(token)


def _environment(prefix: str) -> tuple[tuple[str, str], ...]:
    environments = _environments.get()
    if environments is None:
        return _read_environment(prefix)
    if prefix not in environments:
        environments[prefix] = _read_environment(prefix)
    return environments[prefix]


def _read_environment(prefix: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith(prefix)))
