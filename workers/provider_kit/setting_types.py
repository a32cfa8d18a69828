"""What the providers' settings have in common: where they are read, and their types.

Every text is stripped: a copied key id or a secret from a file easily ends with a newline.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import SettingsConfigDict

_ORIGIN = re.compile(r"(https?)://((?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)/?")
_LARGEST_PORT = 65_535


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
strip_text = BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)
"""Strips a setting that is not a plain text: the name of a file."""
