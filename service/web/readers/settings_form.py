"""What the form of a reader's settings shows, and what there is to choose from."""

from collections.abc import Sequence
from typing import Any

from service.domain.language import base_language, known_languages
from service.domain.people import Reader
from service.domain.time_zone import canonical_names

_CAPS = (1, 2, 3, 5, 8, 12, 20)


def initial_values(reader: Reader, *, results_by_default: bool) -> dict[str, Any]:
    """Return what the form shows at first."""
    quiet = reader.quiet_hours
    return {
        "timezone": reader.timezone,
        "language": reader.language,
        "languages": list(reader.languages),
        "quiet_from": quiet.begin.strftime("%H:%M") if quiet else "",
        "quiet_to": quiet.end.strftime("%H:%M") if quiet else "",
        "alerts_per_day": str(reader.alerts_per_day or ""),
        "results": reader.shares_results(by_default=results_by_default),
        "digest": reader.digest,
    }


def choices(reader: Reader, site_languages: Sequence[str], cap: int) -> dict[str, Any]:
    """Return the languages, numbers of alerts and time zones to choose from.

    `cap` is the most alerts that the installation sends in a day, 0 without a limit.
    """
    numbers = {n for n in _CAPS if not cap or n < cap}
    if reader.alerts_per_day:
        numbers.add(reader.alerts_per_day)
    return {
        "languages": _languages(reader, site_languages),
        "caps": sorted(numbers),
        "zones": sorted(canonical_names()),
    }


def _languages(reader: Reader, site_languages: Sequence[str]) -> list[str]:
    """Return the reader's languages, those of the site, and all that we can name.

    What the reader has as `pt-BR` is not offered as `pt` again.
    """
    bases = {base_language(tag) for tag in reader.languages}
    others = [tag for tag in (*site_languages, *known_languages()) if tag not in bases]
    return list(dict.fromkeys([*reader.languages, *others]))
