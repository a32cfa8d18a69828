"""How pages write numbers, times, states and languages: every filter of the templates."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from service.actions.operations.troubles import advise_on_provider
from service.domain.alert import AlertState, Kind, Report
from service.domain.delivery import State
from service.domain.device import PROVIDER_LABELS
from service.domain.language import base_language, is_right_to_left, language_name
from service.domain.network import authority_of
from service.domain.story import StoryState
from service.domain.subscription import Urgency
from service.domain.totals import Totals
from service.formats.text import decode_references
from service.web.charts import write_value

_MINUTE = 60
_HOUR = 3600
_DAY = 86_400
_SECOND_MS = 1000
_MINUTE_MS = 60_000
_TAG = re.compile(r"<[^<>]*>")

STORY_STATES: Mapping[StoryState, tuple[str, str]] = {
    StoryState.DRAFT: ("Draft", "wait"),
    StoryState.PUBLISHED: ("Published", "good"),
    StoryState.CORRECTED: ("Corrected", "good"),
    StoryState.RETRACTED: ("Retracted", "bad"),
}
ALERT_STATES: Mapping[AlertState, tuple[str, str]] = {
    AlertState.SCHEDULED: ("Scheduled", "wait"),
    AlertState.PLANNING: ("Starting", "loud"),
    AlertState.SENDING: ("Sending", "loud"),
    AlertState.FINISHED: ("Finished", "good"),
    AlertState.STOPPED: ("Stopped", "bad"),
    AlertState.EXPIRED: ("Expired", "bad"),
}
URGENCIES: Mapping[Urgency, tuple[str, str]] = {
    Urgency.BREAKING: (
        "Breaking",
        "Sounds at once, even in quiet hours. For news that people must know now.",
    ),
    Urgency.NORMAL: ("Normal", "Shows like any message. Readers in quiet hours do not get it."),
    Urgency.QUIET: (
        "Quiet",
        "Appears in the list without a sound. For news that can be read later.",
    ),
}
KINDS: Mapping[Kind, str] = {
    Kind.FIRST: "Alert",
    Kind.UPDATE: "Correction",
    Kind.WITHDRAWAL: "Withdrawal",
    Kind.TEST: "Test",
    Kind.DIGEST: "After quiet hours",
}
DELIVERY_STATES: Mapping[State, tuple[str, str]] = {
    State.PENDING: ("On its way", "wait"),
    State.RETRYING: ("Trying again", "wait"),
    State.ACCEPTED: ("Accepted", "good"),
    State.GONE: ("Device gone", "bad"),
    State.EXPIRED: ("Expired", "bad"),
    State.BURIED: ("Failed", "bad"),
    State.CANCELLED: ("Cancelled", "bad"),
}


def number(value: int) -> str:
    """Return 12345 as 12,345."""
    return f"{value:,}"


def day(moment: datetime) -> str:
    """Return the date in words, in UTC."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"


def moment(value: datetime) -> str:
    """Return the date and time in words, in UTC. The page's script replaces it by local time."""
    utc = value.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def iso(value: datetime) -> str:
    """Return the time as RFC 3339 writes it, to the second."""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc822(value: datetime) -> str:
    """Return the time as RSS 2.0 writes it (RFC 822)."""
    return value.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def sitemap_language(tag: str) -> str:
    """Return a language as Google's news sitemap writes it: its own code, or zh-cn and zh-tw."""
    language, *rest = tag.lower().split("-")
    if language != "zh":
        return language
    return "zh-tw" if {"hant", "tw", "hk", "mo"} & set(rest) else "zh-cn"


def field_time(value: datetime | None) -> str:
    """Return the value of an `<input type="datetime-local">`, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if value else ""


def span(seconds: float) -> str:
    """Return a length of time in its one or two largest units."""
    total = max(int(seconds), 0)
    if total < _MINUTE:
        return f"{total} s"
    if total < _HOUR:
        return f"{total // _MINUTE} min"
    if total < _DAY:
        minutes = total % _HOUR // _MINUTE
        return f"{total // _HOUR} h {minutes} min" if minutes else f"{total // _HOUR} h"
    days = total // _DAY
    return f"{days} day" if days == 1 else f"{days} days"


def ago(value: datetime, now: datetime) -> str:
    """Return how long ago `value` was, or when it will be."""
    seconds = (now - value).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def milliseconds(value: int | None) -> str:
    """Return a latency in ms, seconds or larger units; "-" for none."""
    if value is None:
        return "-"
    if value < _SECOND_MS:
        return f"{value} ms"
    if value < _MINUTE_MS:
        return f"{value / _SECOND_MS:.1f} s"
    return span(value / _SECOND_MS)


def percent(part: int, total: int) -> str:
    """Return a share: never 100 % while one is missing, never 0 % while there is one."""
    if not total:
        return "0 %"
    share = 100 * part / total
    if 0 < share < 1:
        return "< 1 %"
    if part < total:
        share = min(share, 99)
    return f"{share:.0f} %"


def reached(ms: int | None, totals: Totals, share: int) -> str:
    """Return when a share of what was planned was accepted; "-" while it is not."""
    return milliseconds(ms) if 100 * totals.accepted >= share * totals.planned else "-"


def direction(language: str) -> str:
    """Return the `dir` attribute of text in this language: `rtl` or `ltr`."""
    return "rtl" if is_right_to_left(language) else "ltr"


def provider_name(name: str) -> str:
    """Return the kind of device that a provider reaches."""
    return PROVIDER_LABELS.get(name, name)


def plain(html: str) -> str:
    """Return the text of sanitized HTML on one line."""
    return " ".join(decode_references(_TAG.sub(" ", html)).split())


def cut(text: str, length: int) -> str:
    """Return `text` cut at a word within `length` characters."""
    if len(text) <= length:
        return text
    return text[: length - 1].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"


def describe_outcome(report: Report) -> tuple[str, str]:
    """Return label and tone of an alert's state; one that ended without success is not well."""
    totals = report.totals
    if report.alert.state is AlertState.FINISHED:
        if totals.planned and not totals.accepted:
            return "Reached nobody", "bad"
        if totals.expired + totals.cancelled:
            return "Finished, not all reached", "wait"
    return ALERT_STATES[report.alert.state]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "value": write_value,
    "day": day,
    "moment": moment,
    "iso": iso,
    "rfc822": rfc822,
    "field_time": field_time,
    "sitemap_language": sitemap_language,
    "ago": ago,
    "authority": authority_of,
    "span": span,
    "ms": milliseconds,
    "reached": reached,
    "what_to_do": advise_on_provider,
    "percent": percent,
    "direction": direction,
    "language_name": language_name,
    "base_language": base_language,
    "provider_name": provider_name,
    "plain": plain,
    "cut": cut,
    "story_state": lambda state: STORY_STATES[state],
    "alert_state": lambda state: ALERT_STATES[state],
    "report_state": describe_outcome,
    "urgency_words": lambda urgency: URGENCIES[urgency],
    "kind_name": lambda kind: KINDS[kind],
    "delivery_state": lambda state: DELIVERY_STATES[state],
}
