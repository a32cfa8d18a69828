"""Language tags (BCP 47): `en`, `pt-BR`, `zh-Hant-TW`."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from service.domain.errors import Invalid

MAX_TAG = 35
MAX_LANGUAGES = 20
"""The most languages that one reader reads."""
_SCRIPT = 4
_REGION = 2
# fmt: off
_RIGHT_TO_LEFT_SCRIPTS = frozenset((
    "adlm", "arab", "aran", "armi", "avst", "chrs", "cprt", "elym", "gara", "hatr", "hebr",
    "hung", "khar", "lydi", "mand", "mani", "mend", "merc", "mero", "narb", "nbat", "nkoo",
    "orkh", "ougr", "palm", "phli", "phlp", "phnx", "prti", "rohg", "samr", "sarb", "sidt",
    "sogd", "sogo", "syrc", "syre", "syrj", "syrn", "thaa", "yezi",
))
"""The scripts of ISO 15924 whose letters Unicode gives the bidirectional class R or AL."""
_RIGHT_TO_LEFT_LANGUAGES = frozenset((
    "aao", "abh", "abv", "acm", "acq", "acw", "acx", "adf", "ae", "aeb", "aec", "aee", "aeq",
    "afb", "aib", "aii", "aij", "aiq", "ajp", "amw", "apc", "apd", "ar", "arb", "arc", "arq",
    "ars", "ary", "arz", "ask", "atn", "auj", "auz", "avd", "avl", "ayh", "ayl", "ayn", "ayp",
    "azb", "bal", "bcc", "bdz", "bej", "bft", "bgn", "bgp", "bhe", "bhm", "bhn", "bjf", "bjm",
    "bqi", "brh", "brk", "bsh", "bsk", "chg", "cja", "ckb", "clh", "czk", "dcc", "def", "deh",
    "dgl", "dmk", "dml", "dv", "ecy", "esh", "fa", "fay", "faz", "fia", "fub", "gbz", "ggg",
    "gha", "ghr", "gig", "gjk", "gju", "glh", "glk", "grr", "gwc", "gwf", "gwt", "gzi", "hac",
    "haz", "hbo", "he", "hkh", "hnd", "hno", "hoh", "hrt", "hrz", "hss", "huy", "isk", "itk",
    "iw", "jad", "jat", "jbe", "jbn", "jdg", "ji", "jnd", "jog", "jpa", "jpr", "jrb", "jye",
    "kbu", "kby", "kcy", "kfm", "khw", "klj", "kmz", "kqd", "ks", "ktl", "kvx", "kxp", "lad",
    "lah", "lhs", "lki", "lrc", "lrk", "lrl", "lsa", "lsd", "lss", "luv", "luz", "mby", "mde",
    "mey", "mfa", "mfi", "mhj", "mid", "mki", "mnj", "mve", "mvy", "myz", "mzb", "mzn", "nli",
    "nlm", "nqo", "ntz", "nyq", "oar", "obm", "odk", "omy", "oru", "ota", "otk", "oui", "pal",
    "pbt", "pbu", "pes", "pgd", "phl", "phn", "phr", "phv", "plk", "pnb", "prc", "prd", "prs",
    "prx",
    "ps", "psh", "psi", "pst", "qxq", "rdb", "rhg", "rmt", "sam", "sbn", "scl", "sd", "sdb",
    "sdf", "sdg", "sdh", "sds", "sgr", "sgy", "shd", "shm", "shu", "shv", "siy", "siz", "skr",
    "smp", "smy", "sog", "sqo", "sqt", "srh", "srz", "ssh", "sts", "swb", "syc", "syn", "syr",
    "tjo", "tks", "tmr", "tov", "tra", "trg", "trm", "trw", "ug", "ur", "ush", "uzs", "vaf",
    "vgr", "vmh", "wbk", "wne", "wni", "wsv", "xco", "xhe", "xka", "xkc", "xkj", "xkp", "xld",
    "xly", "xmn", "xmr", "xna", "xpr", "xsa", "xvi", "ydd", "ydg", "yhd", "yi", "yih", "yud",
    "zba", "zdj", "zrp", "zum",
))
# fmt: on
"""The languages whose likely script is one of those (CLDR, likelySubtags), and those that CLDR
replaces by one of them: `ajp`, `arb`, `bcc`, `pbu`, `pes`, `pnb`, `prs`, `ydd`.

`ku` is not among them: Kurmanji is written in Latin letters, and Sorani has its own code, `ckb`.
"""
_EXCEPTIONAL_REGIONS: Mapping[str, frozenset[str]] = {
    "az": frozenset({"iq", "ir"}),
    "ha": frozenset({"cm", "sd"}),
    "kk": frozenset({"af", "cn", "ir", "mn"}),
    "ku": frozenset({"iq", "ir", "lb"}),
    "ky": frozenset({"cn"}),
    "mey": frozenset({"sn"}),
    "ms": frozenset({"cc"}),
    "pa": frozenset({"pk"}),
    "sd": frozenset({"in"}),
    "tg": frozenset({"pk"}),
    "ug": frozenset({"kz", "mn"}),
    "uz": frozenset({"af"}),
}
"""Where a language is written the other way round than usual (CLDR, likelySubtags)."""
_ALIASES: Mapping[str, str] = {
    "arb": "ar",
    "bh": "bho",
    "cmn": "zh",
    "in": "id",
    "iw": "he",
    "ji": "yi",
    "jw": "jv",
    "mo": "ro",
    "nno": "nn",
    "no": "nb",
    "nob": "nb",
    "pes": "fa",
    "prs": "fa-AF",
    "sh": "sr-Latn",
    "swh": "sw",
    "tl": "fil",
    "tw": "ak",
    "ydd": "yi",
    "zsm": "ms",
}
"""Codes that phones, browsers and newsrooms still use, by the present one (CLDR, languageAlias).

Android says `in`, `iw` and `ji` for Indonesian, Hebrew and Yiddish. `no` is `nb`, which most of it
is; CLDR has it the other way round since its version 39, and both mean the same there.
"""
_OWN_NAMES: Mapping[str, str] = {
    "ar": "العربية",
    "bn": "বাংলা",
    "da": "Dansk",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fa": "فارسی",
    "fr": "Français",
    "gu": "ગુજરાતી",
    "he": "עברית",
    "hi": "हिन्दी",
    "it": "Italiano",
    "ja": "日本語",
    "mr": "मराठी",
    "nb": "Norsk bokmål",
    "nn": "Norsk nynorsk",
    "pa": "ਪੰਜਾਬੀ",
    "pt": "Português",
    "ru": "Русский",
    "sv": "Svenska",
    "ta": "தமிழ்",
    "te": "తెలుగు",
    "tr": "Türkçe",
    "uk": "Українська",
    "ur": "اردو",
    "zh": "中文",
}
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
_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_JAVA_SCRIPT = re.compile(r"([A-Za-z]{2,3})(?:_([A-Za-z0-9]{2,3}))?_{1,2}#([A-Za-z]{4})")


@lru_cache(maxsize=1024)
def parse_language(tag: str, field: str = "language") -> str:
    """Return a well-formed tag in its canonical form, or raise `Invalid` naming `field`.

    That is its usual spelling, and the present code of a language that had another. Otherwise the
    language is not looked up: the registry of languages grows.
    """
    if len(tag) > MAX_TAG or _TAG.fullmatch(tag) is None:
        raise Invalid(field, f"{tag[:40]!r} is not a language tag such as en, pt-BR or zh-Hant.")
    language, *subtags = canonical_subtags(tag)
    end = _extensions_start(subtags)
    return "-".join([language, *map(_usual_case, subtags[:end]), *subtags[end:]])


def parse_locale(locale: str, field: str = "locale") -> str:
    """Return a device's locale as a tag: phones may write `pt_BR`. An empty locale stays empty.

    Java writes a script last: `zh_TW_#Hant`.
    """
    match = _JAVA_SCRIPT.fullmatch(locale)
    tag = "-".join(filter(None, match.group(1, 3, 2))) if match else locale.replace("_", "-")
    return parse_language(tag, field) if locale else ""


def parse_languages(tags: Iterable[str], field: str = "languages") -> tuple[str, ...]:
    """Return well-formed tags in their canonical form, each once, or raise `Invalid`."""
    languages = tuple(dict.fromkeys(parse_language(tag, field) for tag in tags))
    if len(languages) > MAX_LANGUAGES:
        raise Invalid(field, f"At most {MAX_LANGUAGES} languages.")
    return languages


def parse_accept_language(header: str) -> tuple[str, ...]:
    """Return the languages of an `Accept-Language` header (RFC 9110, section 12.5.4).

    The most preferred comes first. What is refused (`q=0`), unreadable or `*` is left out, and so
    is what comes after so many as one reader may have.
    """
    weights: list[tuple[float, str]] = []
    for part in header.split(",")[: 2 * MAX_LANGUAGES]:
        tag, _, weight = part.partition(";")
        match = _WEIGHT.fullmatch(weight.strip() or "q=1")
        quality = float(match.group(1)) if match else 0.0
        if quality > 0 and _TAG.fullmatch(tag.strip()) and len(tag.strip()) <= MAX_TAG:
            weights.append((quality, parse_language(tag.strip())))
    weights.sort(key=lambda pair: -pair[0])
    return tuple(dict.fromkeys(tag for _, tag in weights))[:MAX_LANGUAGES]


def base_language(tag: str) -> str:
    """Return the language of a tag without script and region, under its present code.

    Who reads `pt-BR` reads `pt-PT`: regions and scripts do not part readers from alerts.
    """
    return canonical_subtags(tag)[0]


def base_languages(tags: Iterable[str]) -> frozenset[str]:
    """Return the languages of the tags without scripts and regions."""
    return frozenset(map(base_language, tags))


def canonical_subtags(tag: str) -> list[str]:
    """Return the tag's subtags in lower case, under the present code of its language.

    What the present code adds, a script or a region, gives way to the tag's own.
    """
    language, *subtags = tag.lower().split("-")
    canonical, *defaults = _ALIASES.get(language, language).lower().split("-")
    lengths = {len(subtag) for subtag in subtags[: _extensions_start(subtags)]}
    return [canonical, *(subtag for subtag in defaults if len(subtag) not in lengths), *subtags]


def known_languages() -> tuple[str, ...]:
    """Return the languages whose own names we know, in the order of those names."""
    return tuple(sorted(_OWN_NAMES, key=lambda tag: _OWN_NAMES[tag].casefold()))


def language_name(tag: str) -> str:
    """Return a language's name in that language, or its tag if we do not know the name."""
    return _OWN_NAMES.get(tag.partition("-")[0].lower(), tag)


def is_right_to_left(tag: str) -> bool:
    """Whether text in this language is written from right to left.

    A script subtag decides (`ha-Arab`, `ar-Latn`). Without one the region decides where the
    language is written in several scripts (`pa-PK`, `az-IR`), otherwise the language's likely
    script. Subtags may be joined by `_` and spelt in any case. An unknown language counts as left
    to right.
    """
    language, *subtags = tag.replace("_", "-").lower().split("-")
    subtags = subtags[: _extensions_start(subtags)]
    for subtag in subtags:
        if len(subtag) == _SCRIPT and subtag.isalpha():
            return subtag in _RIGHT_TO_LEFT_SCRIPTS
    default = language in _RIGHT_TO_LEFT_LANGUAGES
    exceptions = _EXCEPTIONAL_REGIONS.get(language, frozenset())
    return default != any(subtag in exceptions for subtag in subtags)


def _extensions_start(subtags: list[str]) -> int:
    """Return the index of the first singleton, which begins an extension or private use."""
    return next((n for n, subtag in enumerate(subtags) if len(subtag) == 1), len(subtags))


def _usual_case(subtag: str) -> str:
    if len(subtag) == _SCRIPT and subtag.isalpha():
        return subtag.capitalize()
    return subtag.upper() if len(subtag) == _REGION else subtag
