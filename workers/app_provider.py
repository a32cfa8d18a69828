"""An app's provider: made of the app's own credentials and options.

A provider's default app takes what it does not have itself from the environment. No other app
takes anything from there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from service.domain.errors import Invalid
from workers.provider import Provider, load_provider, settings_class
from workers.provider_kit.setting_types import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AppField:
    """One value that an app of a provider has: a credential if it is secret, else an option.

    `hint` says where it comes from. `default` is how an option is shown that is not set. A value
    that `is_list` is a list of keys, the newest first.
    """

    name: str
    hint: str
    default: str
    is_secret: bool
    is_required: bool
    is_number: bool
    is_list: bool


def load_app(
    name: str, provider: str, credentials: Mapping[str, Any], options: Mapping[str, Any]
) -> Provider:
    """Return the provider of an app; raises `Invalid`, which names the value that is wrong."""
    cls = app_settings_class(provider)
    check_names(cls, credentials, options)
    environment = cls() if name == provider else None
    values = cls.read_app({**options, **credentials}, environment)
    for field, info in cls.model_fields.items():
        if info.is_required() and field not in values:
            app_field = _app_name(cls, field)
            raise Invalid(_place(cls, app_field), f"An app of {provider} needs {app_field}.")
    try:
        settings = cls(**values)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        field = _app_name(cls, str(fault["loc"][0]))
        raise Invalid(_place(cls, field), f"It {_problem(fault['msg'])}.") from None
    result = load_provider(provider, settings)
    result.name = name
    return result


def app_settings_class(provider: str) -> type[ProviderSettings]:
    """Return the class of a provider's settings; raises LookupError for an unknown provider."""
    cls = settings_class(provider)
    if not issubclass(cls, ProviderSettings):
        raise TypeError(f"the settings of {provider} are not an app's")
    return cls


def app_fields(provider: str) -> tuple[AppField, ...]:
    """Return what an app of the provider has: first its options, what must be set before the rest.

    Raises LookupError for an unknown provider.
    """
    cls = app_settings_class(provider)
    fields = [_app_field(cls, name) for name in cls.app_names()]
    positions = list(cls.model_fields)
    places = {each.name: positions.index(_settings_name(cls, each.name)) for each in fields}
    order = {
        each.name: (each.is_secret, not each.is_required, places[each.name]) for each in fields
    }
    return tuple(sorted(fields, key=lambda each: order[each.name]))


def _app_field(cls: type[ProviderSettings], name: str) -> AppField:
    info = cls.model_fields[_settings_name(cls, name)]
    default: Any = None if info.is_required() else info.get_default(call_default_factory=True)
    is_many = isinstance(default, tuple | list)
    return AppField(
        name=name,
        hint=cls.app_hints.get(name, info.description or ""),
        default=", ".join(default) if is_many else str(default or ""),
        is_secret=name in cls.secrets,
        is_required=info.is_required(),
        is_number=info.annotation is int,
        is_list=name in cls.key_lists,
    )


def _settings_name(cls: type[ProviderSettings], app_name: str) -> str:
    return cls.key_texts.get(app_name, app_name)


def check_names(
    cls: type[ProviderSettings], credentials: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Raise `Invalid` for a value that an app of the provider has not, or a secret in the open."""
    for place, names in (("credentials", credentials), ("options", options)):
        _check_known(cls, place, names)
    for name in options:
        if name in cls.secrets:
            raise Invalid(f"options.{name}", f"{name} is a secret: send it under credentials.")
        if name in credentials:
            raise Invalid(f"options.{name}", f"{name} stands under credentials too.")


def _check_known(cls: type[ProviderSettings], place: str, names: Iterable[str]) -> None:
    app_names = cls.app_names()
    for name in names:
        if name not in app_names:
            choices = ", ".join(sorted(app_names)) or "none"
            raise Invalid(f"{place}.{name}"[:80], f"An app of this provider has: {choices}.")


def _app_name(cls: type[ProviderSettings], field: str) -> str:
    names = {file: name for name, file in cls.key_texts.items()}
    return names.get(field, field)


def _place(cls: type[ProviderSettings], name: str) -> str:
    return f"{'credentials' if name in cls.secrets else 'options'}.{name}"


def _problem(text: str) -> str:
    problem = text.removeprefix("Value error, ")
    return problem[:1].lower() + problem[1:]
