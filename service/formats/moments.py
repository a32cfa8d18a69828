"""Moments as senders write them, in UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

EARLIEST_YEAR = 1970
LATEST_YEAR = 2200
_MAX_LENGTH = 64
_ISO = re.compile(
    r"(\d{4})-(\d{2})(?:-(\d{2}))?"
    r"(?:[Tt ]\s*(\d{2}):?(\d{2})(?::?(\d{2}))?(?:[.,](\d{1,9}))?)?"
    r"\s*([Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_BASIC = re.compile(r"(\d{4})(\d{2})(\d{2})[Tt](\d{2})(\d{2})(\d{2})([Zz]|[+-]\d{4})?", re.ASCII)
_ZONES = {
    "BST": 60, "IST": 330, "CET": 60, "CEST": 120, "MEZ": 60, "MESZ": 120, "WET": 0, "WEST": 60,
    "EET": 120, "EEST": 180, "MSK": 180, "JST": 540, "KST": 540, "AEST": 600, "AEDT": 660,
    "NZST": 720, "NZDT": 780, "HKT": 480, "SGT": 480, "SAST": 120, "BRT": -180, "PKT": 300,
}  # fmt: skip
_ZONE_AT_END = re.compile(r"\s*\(?([A-Z]{3,4})\)?$")
_LONG_MONTH = re.compile(
    r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{1,6}\b", re.IGNORECASE
)
_DAY_NAME = re.compile(r"^[a-z]{2,9}\.?,?\s+(?=\d)", re.IGNORECASE)


def exact_moment(text: str) -> datetime | None:
    """Return a full date and time with an offset (RFC 3339, ISO 8601) in UTC, else None.

    For embargoes and expiries: nothing is guessed.
    """
    match = _ISO.fullmatch(text.strip()[:_MAX_LENGTH])
    if match is None or match[4] is None or match[8] is None:
        return None
    return _from_iso(match)


def likely_moment(text: str) -> datetime | None:
    """Return what a feed most likely means, in UTC: ISO 8601, RFC 822 and their broken relatives.

    Without an offset it is taken as UTC. None where no moment can be made of it.
    """
    text = " ".join(text.split())[:_MAX_LENGTH]
    match = _ISO.fullmatch(text)
    if match is not None:
        return _from_iso(match)
    basic = _BASIC.fullmatch(text)
    if basic is not None:
        date, time = "-".join(basic.group(1, 2, 3)), ":".join(basic.group(4, 5, 6))
        return likely_moment(f"{date}T{time}{basic[7] or ''}")
    return _from_mail(text)


def moment_of_seconds(seconds: float) -> datetime | None:
    """Return a moment from seconds since 1970; milliseconds are recognised by their size."""
    seconds = seconds / 1000 if abs(seconds) > 10**11 else seconds
    try:
        return _plausible(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _from_iso(match: re.Match[str]) -> datetime | None:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.group(*range(1, 7)))
    micro = int((match[7] or "0").ljust(6, "0")[:6])
    late = (hour, minute, second) == (24, 0, 0)
    try:
        local = datetime(
            year, month, day or 1, 0 if late else hour, minute, min(second, 59), micro,
            _offset(match[8]),
        )  # fmt: skip
        return _plausible(local.astimezone(UTC) + timedelta(days=late))
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timezone:
    if zone is None or zone[0] not in "+-":
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-span if zone[0] == "-" else span)


def _from_mail(text: str) -> datetime | None:
    """RFC 822 and 5322 dates, with full month names, day names in any language and more zones."""
    text = _LONG_MONTH.sub(lambda month: month[1], _DAY_NAME.sub("", text))
    zone = _ZONE_AT_END.search(text)
    minutes = _ZONES.get(zone[1]) if zone else None
    try:
        fields = parsedate_tz(text)
        if fields is None:
            return None
        seconds = minutes * 60 if minutes is not None else fields[9] or 0
        local = datetime(*fields[:5], min(fields[5], 59), tzinfo=UTC)
        return _plausible(local - timedelta(seconds=seconds))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _plausible(moment: datetime) -> datetime | None:
    return moment if EARLIEST_YEAR <= moment.year <= LATEST_YEAR else None
