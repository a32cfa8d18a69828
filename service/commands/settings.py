"""The settings as commands need them, and `newszop settings`: all, those of providers too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from service import provider_door
from service.commands.output import Failed, print_table, say
from service.settings import Settings, SettingsError, load, variable


def read_settings() -> Settings:
    """Return the settings; raises `Failed` naming the one at fault."""
    try:
        return load()
    except SettingsError as error:
        raise Failed(str(error)) from None


def check_settings() -> Settings:
    """Return the settings after checking those of every provider in use."""
    values = read_settings()
    try:
        provider_door.start_check(values)
    except SettingsError as error:
        raise Failed(str(error)) from None
    return values


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting; `default` is None where it must be set."""

    name: str
    default: str | None
    description: str

    @property
    def shown(self) -> str:
        """The default in words."""
        return "(must be set)" if self.default is None else self.default


def list_settings() -> list[SettingRow]:
    """Return every setting: the service's, then each provider's."""
    classes: list[type[BaseSettings]] = [Settings, *provider_door.settings_classes().values()]
    return [row for cls in classes for row in _rows_of(cls)]


def print_settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the README has it.")] = False,
) -> None:
    """Print every setting with its default and what it is for."""
    if markdown:
        say(as_markdown())
        return
    table = [(row.name, row.shown, row.description) for row in list_settings()]
    print_table(("Setting", "Default", "What it is for"), table)


def as_markdown() -> str:
    """Return the table that stands in the README."""
    lines = ["| setting | default | what it is for |", "|---|---|---|"]
    for row in list_settings():
        default = f"`{row.default}`" if row.default else row.shown
        lines.append(f"| `{row.name}` | {default} | {row.description} |".replace("|  |", "| |"))
    return "\n".join(lines)


def _rows_of(cls: type[BaseSettings]) -> Iterator[SettingRow]:
    for name, field in cls.model_fields.items():
        default = (
            None if field.is_required() else _text(field.get_default(call_default_factory=True))
        )
        yield SettingRow(variable(cls, name), default, field.description or "")


def _text(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
