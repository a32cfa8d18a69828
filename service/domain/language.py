"""Language tags (BCP 47): `en`, `pt-BR`, `zh-Hant-TW`."""

import re

from service.domain.errors import Invalid

MAX_TAG = 35
_SCRIPT = 4
_REGION = 2
_TAG = re.compile(
    r"""
    (?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})    # language, extended language
    (?:-[a-z]{4})?                                 # script
    (?:-(?:[a-z]{2}|[0-9]{3}))?                    # region
    (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*       # variants
    (?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*            # extensions
    (?:-x(?:-[a-z0-9]{1,8})+)?                     # private use
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)


def parse_language(tag: str, field: str = "language") -> str:
    """Return a well-formed tag in its usual spelling, or raise `Invalid` naming `field`.

    Whether anybody speaks it is not asked: registries grow.
    """
    if len(tag) > MAX_TAG or _TAG.fullmatch(tag) is None:
        raise Invalid(field, f"{tag[:40]!r} is not a language tag such as en, pt-BR or zh-Hant.")
    first, *rest = tag.lower().split("-")
    own = next((n for n, part in enumerate(rest) if len(part) == 1), len(rest))
    return "-".join([first, *map(_usual_case, rest[:own]), *rest[own:]])


def parse_locale(locale: str, field: str = "locale") -> str:
    """Return a device's locale as a tag: phones may write `pt_BR`, and nothing says nothing."""
    return parse_language(locale.replace("_", "-"), field) if locale else ""


def _usual_case(part: str) -> str:
    if len(part) == _SCRIPT and part.isalpha():
        return part.capitalize()
    return part.upper() if len(part) == _REGION else part
