"""Which of several texts a reader reads: the lookup of RFC 4647, section 3.4, on scripts too.

Languages that are written in several scripts are compared with their script, likely or stated:
`zh-TW` is `zh-Hant-TW`, so it finds `zh-Hant` before `zh`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from service.domain.language import canonical_subtags

_SCRIPT_LENGTH = 4
_LIKELY_SCRIPTS: Mapping[str, Mapping[str, str]] = {
    "az": {"": "latn", "iq": "arab", "ir": "arab", "ru": "cyrl"},
    "bs": {"": "latn"},
    "ha": {"": "latn", "cm": "arab", "sd": "arab"},
    "kk": {"": "cyrl", "af": "arab", "cn": "arab", "ir": "arab", "mn": "arab"},
    "ky": {"": "cyrl", "cn": "arab", "tr": "latn"},
    "mn": {"": "cyrl", "cn": "mong"},
    "ms": {"": "latn", "cc": "arab"},
    "pa": {"": "guru", "pk": "arab"},
    "sd": {"": "arab", "in": "deva"},
    "sr": {"": "cyrl", "me": "latn", "ro": "latn", "tr": "latn"},
    "tg": {"": "cyrl", "pk": "arab"},
    "ug": {"": "arab", "kz": "cyrl", "mn": "cyrl"},
    "uz": {"": "latn", "af": "arab", "cn": "cyrl"},
    "zh": {"": "hans"}
    | dict.fromkeys(
        ("au", "bn", "gb", "gf", "hk", "id", "mo", "pa", "pf", "ph", "sr", "th", "tw", "us", "vn"),
        "hant",
    ),
}
"""The script of a language by region, "" for all others (CLDR, likelySubtags)."""
_LIKELY_REGIONS = {("zh", "hans"): "cn", ("zh", "hant"): "tw"}
"""Where a text for one region is the usual one of its script, so that others may read it."""
_FALLBACKS = {"nn": "nb"}
"""A language that is read where a text in the reader's own is missing (CLDR, parentLocales)."""


def index_texts(tags: Iterable[str]) -> dict[str, str]:
    """Return the tags of texts by the keys that `lookup_keys` asks for.

    The later of two tags for the same language wins.
    """
    by_key: dict[str, str] = {}
    defaults: dict[str, str] = {}
    for tag in tags:
        plain = canonical_subtags(tag)
        by_key["-".join(plain)] = tag
        language, *subtags = _with_script(plain)
        defaults["-".join([language, *subtags])] = tag
        region = _LIKELY_REGIONS.get((language, subtags[0])) if subtags else None
        if region and subtags[1:] == [region]:
            defaults.setdefault(f"{language}-{subtags[0]}", tag)
    return defaults | by_key


def lookup_keys(locale: str) -> Iterator[str]:
    """Yield the keys under which a reader's text may stand, the best first.

    A locale may be spelt as systems do: `hi_IN.UTF-8`, `hi_IN@currency=INR`.
    """
    plain = re.split(r"[.@]", locale, maxsplit=1)[0].replace("_", "-")
    subtags = canonical_subtags(plain)
    language = subtags[0]
    subtags = _with_script(subtags)
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
    if language in _FALLBACKS:
        yield _FALLBACKS[language]


def _with_script(subtags: list[str]) -> list[str]:
    """Return the subtags with the likely script, if the language has several and none is named."""
    language, *others = subtags
    scripts = _LIKELY_SCRIPTS.get(language)
    if scripts is None or (others and len(others[0]) == _SCRIPT_LENGTH and others[0].isalpha()):
        return subtags
    region = others[0] if others else ""
    return [language, scripts.get(region, scripts[""]), *others]
