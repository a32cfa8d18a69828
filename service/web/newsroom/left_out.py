"""The sentences that say whom an alert leaves out, and why."""

from collections.abc import Iterable, Mapping

from service.domain.audience import LeftOut
from service.domain.language import base_language, language_name

_NAMES: Mapping[str, str] = {
    "ar": "Arabic",
    "bn": "Bengali",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "gu": "Gujarati",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "mr": "Marathi",
    "pa": "Punjabi",
    "pt": "Portuguese",
    "ru": "Russian",
    "ta": "Tamil",
    "te": "Telugu",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "zh": "Chinese",
}
"""The newsroom's pages are in English. Other languages have their own names there."""


def describe_left_out(counts: Mapping[LeftOut, int], tags: Iterable[str]) -> list[str]:
    """Return one part of a sentence for each rule that leaves devices out.

    `tags` are the languages that the alert can be read in.
    """
    bases = dict.fromkeys(base_language(tag) for tag in tags)
    names = " or ".join(_NAMES.get(base) or language_name(base) for base in bases)
    words = {
        LeftOut.QUIET_HOURS: ("is in quiet hours", "are in quiet hours"),
        LeftOut.LANGUAGE: (f"does not read {names}", f"do not read {names}"),
        LeftOut.FREQUENCY: ("got enough alerts in the last 24 hours",) * 2,
    }
    return [
        f"{counts[reason]:,} {words[reason][counts[reason] != 1]}"
        for reason in LeftOut
        if counts.get(reason)
    ]


def describe_breaking_only(devices: int) -> list[str]:
    """Return the part of the sentence about those who want breaking alerts only."""
    if not devices:
        return []
    return [f"{devices:,} {'gets' if devices == 1 else 'get'} only more urgent alerts"]
