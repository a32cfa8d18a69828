"""The sentences that say whom an alert leaves out, and why."""

from collections.abc import Iterable, Mapping

from service.domain.audience import LeftOut
from service.domain.language import base_language, language_name


def describe_left_out(counts: Mapping[LeftOut, int], tags: Iterable[str]) -> list[str]:
    """Return one part of a sentence for each rule that leaves devices out.

    `tags` are the languages that the alert can be read in.
    """
    names = " or ".join(dict.fromkeys(language_name(base_language(tag)) for tag in tags))
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
