"""The forms of an app: what a browser sends becomes a change, and a refusal belongs to its field.

Each provider's own settings say which fields its form has, so a new provider has one at once. A
field is named as `/api/admin/apps` names the value: `options.topic`, `credentials.key`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from service.actions.apps.app_administration import AppChange, AppStatus
from service.provider_door import AppField

PROMPT_NUMBERS = ("after_views", "wait_days")
PROMPT_LISTS = ("sections", "topics")
PROMPT_TEXTS = ("title", "text", "yes", "no")
_PEM = re.compile(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----", re.DOTALL)
_WORDS = {"url": "URL", "vapid": "VAPID"}
Values = Mapping[str, str]


async def _read_values(request: Request) -> Values:
    form = await request.form()
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


FormValues = Annotated[Values, Depends(_read_values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """A field as the page shows it. `value` is empty for a credential: none is ever shown."""

    name: str
    label: str
    hint: str
    value: str
    placeholder: str
    is_secret: bool
    is_required: bool


def form_fields(
    fields: Sequence[AppField], shown: Values, *, is_default: bool = False
) -> list[FormField]:
    """Return the fields of a form; `shown` has the texts of the options.

    A default app needs nothing of its own: what it has not comes from the environment.
    """
    result = []
    for field in fields:
        name = _form_name(field)
        result.append(
            FormField(
                name=name,
                label=label_of(field.name),
                hint=field.hint,
                value="" if field.is_secret else shown.get(name, ""),
                placeholder="" if is_default else field.default,
                is_secret=field.is_secret,
                is_required=field.is_required and not is_default,
            )
        )
    return result


def label_of(name: str) -> str:
    """Return an option's name as people read it: `team_id` is "Team id"."""
    words = [_WORDS.get(word, word) for word in name.rpartition(".")[2].split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def option_texts(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options as the form's fields have them."""
    return {f"options.{name}": _as_text(value) for name, value in options.items()}


def read_credentials(fields: Sequence[AppField], values: Values) -> dict[str, Any]:
    """Return the credentials that were filled in; a list of keys as a list."""
    texts = {
        field: values.get(_form_name(field), "").strip() for field in fields if field.is_secret
    }
    return {
        field.name: (_PEM.findall(text) or [text]) if field.is_list else text
        for field, text in texts.items()
        if text
    }


def read_options(
    fields: Sequence[AppField], values: Values, current: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options that the form changes; None for one that it empties."""
    changes: dict[str, Any] = {}
    shown = option_texts(current)
    for field in fields:
        name = _form_name(field)
        text = values.get(name, "").strip()
        if field.is_secret or name not in values or text == shown.get(name, ""):
            continue
        is_number = field.is_number and text.isascii() and text.isdigit()
        changes[field.name] = (int(text[:12]) if is_number else text) or None
    return changes


def read_site(values: Values, status: AppStatus) -> AppChange:
    """Return a web app's origins and the rules of its prompt; what the form has not stays."""
    prompt: dict[str, Any] = dict(status.prompt)
    for name in (*PROMPT_NUMBERS, *PROMPT_LISTS, *PROMPT_TEXTS):
        text = values.get(f"prompt.{name}", "").strip()
        value: Any = text
        if name in PROMPT_NUMBERS:
            value = int(text[:4]) if text.isascii() and text.isdigit() else None
        elif name in PROMPT_LISTS:
            value = [part for part in re.split(r"[\s,]+", text) if part]
        prompt[name] = value
    rules = {name: value for name, value in prompt.items() if value not in ("", [], None)}
    return AppChange(origins=tuple(values.get("origins", "").split()), prompt=rules)


def prompt_texts(prompt: Mapping[str, Any]) -> dict[str, str]:
    """Return the rules of a prompt as the form's fields have them."""
    names = (*PROMPT_NUMBERS, *PROMPT_LISTS, *PROMPT_TEXTS)
    return {name: _as_text(prompt.get(name, "")) for name in names}


def _form_name(field: AppField) -> str:
    return f"{'credentials' if field.is_secret else 'options'}.{field.name}"


def _as_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
