"""What the providers' settings have in common: where they are read, and the type of an origin."""

from typing import Annotated

from pydantic import AfterValidator
from pydantic_settings import SettingsConfigDict


def settings_config(prefix: str) -> SettingsConfigDict:
    """Return the configuration of a class of settings: from the environment, else from `.env`."""
    return SettingsConfigDict(env_prefix=prefix, env_file=".env", extra="ignore", frozen=True)


def _check_origin(value: str) -> str:
    scheme, separator, rest = value.rstrip("/").partition("://")
    if scheme not in ("https", "http") or not separator or not rest or set(rest) & set("/?#@ "):
        raise ValueError("must be an origin such as https://push.example.org, without a path")
    return f"{scheme}://{rest.lower()}"


Origin = Annotated[str, AfterValidator(_check_origin)]
"""Scheme, host and perhaps a port, without a path."""
