"""What the providers' settings have in common: where they are read, and their types.

Every text is stripped: a copied key id or a secret from a file easily ends with a newline.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ORIGIN = re.compile(r"(https?)://((?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)/?")
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key that an app keeps itself: the content that a key's file would have."""

    content: bytes = field(repr=False)


class ProviderSettings(BaseSettings):
    """A provider's settings: from the environment, or from what an app has of its own.

    An app's names are those of the fields. But a field that names a key's file has another name,
    and the app's value is the file's text: `key_texts` has the field by the app's name. The values
    of `secrets` are sealed and never shown. `app_hints` says where an app's value comes from, where
    the field's description speaks of a file; the values of `key_lists` are lists of keys.
    """

    key_texts: ClassVar[Mapping[str, str]] = {}
    secrets: ClassVar[frozenset[str]] = frozenset()
    app_hints: ClassVar[Mapping[str, str]] = {}
    key_lists: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def app_names(cls) -> frozenset[str]:
        """Return the names that an app's values may have."""
        files = {name for name in cls.model_fields if name.endswith(("_file", "_files"))}
        return frozenset(cls.model_fields.keys() - files | cls.key_texts.keys())

    @classmethod
    def read_app(
        cls, values: Mapping[str, Any], inherited: "ProviderSettings | None"
    ) -> dict[str, Any]:
        """Return a value for each field that has one: the app's, else the inherited, else default.

        Fields that must be set and are not are left out. The environment has no say.
        """
        fields = cls.model_fields.items()
        result = {
            name: each.get_default(call_default_factory=True)
            for name, each in fields
            if not each.is_required()
        }
        result |= {} if inherited is None else dict(inherited)
        for name, value in values.items():
            file = cls.key_texts.get(name)
            result[file or name] = value if file is None else KeyText(str(value).encode())
        return result


def settings_config(prefix: str) -> SettingsConfigDict:
    """Return the configuration of a class of settings: from the environment, else from `.env`."""
    return SettingsConfigDict(
        env_prefix=prefix, env_file=".env", extra="ignore", frozen=True, str_strip_whitespace=True
    )


def _check_origin(value: str) -> str:
    match = _ORIGIN.fullmatch(value)
    port = re.search(r":([0-9]+)$", match[2]) if match else None
    if not match or (port and not 0 < int(port[1]) <= _LARGEST_PORT):
        raise ValueError("must be an origin such as https://push.example.org, without a path")
    return f"{match[1]}://{match[2].lower()}"


def _check_header_text(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be printable ASCII, for it stands in a header of every request")
    return value


def _check_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", value):
        raise ValueError("must be letters, digits, dots, hyphens and underscores alone")
    return value


def _check_apple_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{10}", value):
        raise ValueError("must be ten letters and digits, as Apple shows it")
    return value


Origin = Annotated[str, AfterValidator(_check_origin)]
"""Scheme, host and perhaps a port, without a path."""
HeaderText = Annotated[str, AfterValidator(_check_header_text)]
"""Text that can stand in the value of a header."""
Name = Annotated[str, AfterValidator(_check_name)]
"""An id that can stand in a header and in an address."""
AppleId = Annotated[str, AfterValidator(_check_apple_id)]
"""The id of a key or a team at Apple."""


def split_list(value: object) -> object:
    """Return the parts of a comma-separated text; another value as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


strip_text = BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)
"""Strips a setting that is not a plain text: the name of a file."""
