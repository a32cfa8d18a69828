"""A form that arrives after the session has ended goes through the login and is sent again.

It is held in the login's page, not on the server. The person who signs in sees what it is and
sends it, with the new session's token: a form of another site is never held.
"""

import json
from typing import NamedTuple
from urllib.parse import quote_plus

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from service.domain.errors import Forbidden
from service.web import form_guards

MAX_HELD = 14_000
"""Bytes of a held form as the login's form sends it, which must fit a stranger's form."""
_GUARDS = (form_guards.CSRF_FIELD, "confirm", "counted")
"""What must be new when the form is sent again."""
_NEVER_HELD = ("/control/apps", "/control/test-push")
"""Forms with credentials or addresses, which no other page may show."""


class HeldForm(NamedTuple):
    """Where the form goes, and its fields in their order."""

    path: str
    fields: list[tuple[str, str]]

    def to_text(self) -> str:
        """Return the form as the login's hidden field carries it."""
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"))


_ANY_FORM = TypeAdapter(HeldForm)


async def hold_form(request: Request) -> HeldForm | None:
    """Return the form of a request that nobody is signed in for; None if it cannot be held."""
    path = request.url.path
    if request.method != "POST" or path.startswith(_NEVER_HELD) or not _is_ours(request):
        return None
    content = await request.form()
    fields = [(k, v) for k, v in content.multi_items() if isinstance(v, str) and k not in _GUARDS]
    form = HeldForm(path, fields)
    return form if len(quote_plus(form.to_text())) <= MAX_HELD else None


def read_held(text: str) -> HeldForm | None:
    """Return the form that the login carried, if its address is one of the newsroom's."""
    if not text:
        return None
    try:
        form = _ANY_FORM.validate_json(text)
    except ValidationError:
        return None
    is_ours = form_guards.local_path(form.path, "").startswith(("/desk/", "/control"))
    return form if is_ours else None


def _is_ours(request: Request) -> bool:
    """Whether the browser says that one of our pages sent it; silence is not enough here."""
    if "origin" not in request.headers and "sec-fetch-site" not in request.headers:
        return False
    try:
        form_guards.check_origin(request)
    except Forbidden:
        return False
    return True
