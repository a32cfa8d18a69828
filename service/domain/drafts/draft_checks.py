"""What an editor may ask for: a draft is checked before it becomes an alert."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from service.domain import topic
from service.domain.alert import (
    FARTHEST_SEND,
    LONGEST_TTL,
    MAX_APPS,
    MAX_LOCALES,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TOPICS,
    SHORTEST_TTL,
    Draft,
    Words,
)
from service.domain.errors import Invalid
from service.domain.language import parse_language
from service.domain.pace.local_release import BEYOND_CALENDAR, FIRST_DAY, LAST_DAY
from service.domain.pace.spread import LONGEST_SPREAD
from service.domain.subscription import Urgency


def check_draft(draft: Draft, now: datetime) -> Draft:
    """Return the draft as it will be acted on, or raise `Invalid` naming the field at fault.

    A `send_at` that has passed means now, and topics come back in their one spelling.
    """
    check_words(Words(draft.title or "-", draft.body or ""))
    if draft.title is not None and not draft.title.strip():
        raise Invalid("title", "A title of blanks says nothing: leave it out for the headline.")
    if not SHORTEST_TTL <= draft.ttl <= LONGEST_TTL:
        raise Invalid("ttl_seconds", "An alert lives from 1 second to 28 days (2419200 seconds).")
    if draft.topics is not None and draft.everyone:
        raise Invalid("topics", "Either topics or everyone: who is everyone follows any topic.")
    if draft.apps is not None and not 0 < len(draft.apps) <= MAX_APPS:
        raise Invalid("apps", f"Name 1 to {MAX_APPS} apps, or leave it out for all.")
    check_spread(draft)
    check_local_release(draft)
    check_headlines(draft)
    return replace(
        draft,
        topics=_spell(draft.topics),
        send_at=_later(_start_of(draft), now),
        locales=_spell_locales(draft.locales),
    )


def check_words(words: Words, prefix: str = "") -> None:
    """Raise `Invalid` for words that are missing or too long; `prefix` names their place."""
    if not words.title.strip():
        raise Invalid(f"{prefix}title", "A title is needed.")
    for name, value, limit in (("title", words.title, MAX_TITLE), ("body", words.body, MAX_TEXT)):
        if len(value) > limit:
            raise Invalid(
                f"{prefix}{name}", f"{len(value)} characters are too many: at most {limit}."
            )
        if "\0" in value:
            raise Invalid(f"{prefix}{name}", "A NUL character is not text.")


def check_spread(draft: Draft) -> None:
    """Raise `Invalid` for an alert that may not leave over a time, or not over so long a one."""
    if draft.spread == timedelta(0):
        return
    name = "spread_seconds"
    if not timedelta(0) < draft.spread <= LONGEST_SPREAD:
        most = int(LONGEST_SPREAD.total_seconds())
        raise Invalid(name, f"An alert leaves at once (0) or over up to {most} seconds.")
    if draft.urgency is Urgency.BREAKING:
        raise Invalid(name, "A breaking alert leaves at once.")
    if draft.corrects:
        raise Invalid(name, "A correction leaves as fast as what it corrects: leave it out.")
    if draft.spread >= draft.ttl:
        raise Invalid(name, "The alert would expire before it had left: shorten this.")


def check_local_release(draft: Draft) -> None:
    """Raise `Invalid` for an alert that may not leave at a time of day in each zone."""
    if draft.local_release is None:
        return
    day = draft.local_release.day
    if day is not None and not FIRST_DAY <= day <= LAST_DAY:
        raise Invalid("send_at", BEYOND_CALENDAR)
    if draft.urgency is Urgency.BREAKING:
        raise Invalid("local_time", "A breaking alert leaves everywhere at once.")
    if draft.corrects:
        raise Invalid("local_time", "A correction leaves when what it corrects does: leave it out.")
    if draft.spread:
        raise Invalid("local_time", "Either local_time or spread_seconds, not both.")


def check_headlines(draft: Draft) -> None:
    """Raise `Invalid` for two headlines that cannot be tried against one another."""
    test = draft.headline_test
    if test is None:
        return
    name = "variants"
    check_words(Words(test.title, test.body or ""), f"{name}.1.")
    if (test.title, test.body) == (draft.title, draft.body):
        raise Invalid(name, "The two headlines say the same.")
    if draft.urgency is Urgency.BREAKING:
        raise Invalid(name, "A breaking alert cannot wait for a test: it has one headline.")
    if draft.update:
        raise Invalid(name, "What replaces an alert has one headline.")
    if draft.spread or draft.local_release:
        raise Invalid(name, "Two headlines leave at once: without spread_seconds and local_time.")
    if draft.locales:
        raise Invalid(name, "Two headlines are in the story's language: leave out locales.")
    if test.duration >= draft.ttl:
        raise Invalid("test_minutes", "The alert would expire before the test ends: shorten it.")


def _start_of(draft: Draft) -> datetime | None:
    """Return when the alert is to start: of a day's local time in the first zone of the world."""
    local = draft.local_release
    if local is None or local.day is None:
        return draft.send_at
    return local.first_moment_of_day(local.day)


def _spell_locales(locales: Mapping[str, Words]) -> dict[str, Words]:
    if len(locales) > MAX_LOCALES:
        raise Invalid("locales", f"At most {MAX_LOCALES} languages.")
    for tag, words in locales.items():
        check_words(words, f"locales.{tag[:40]}.")
    by_tag = {parse_language(tag, "locales"): words for tag, words in locales.items()}
    if len(by_tag) < len(locales):
        raise Invalid("locales", "The same language stands here twice, perhaps under two names.")
    return by_tag


def _spell(topics: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if topics is None:
        return None
    if not 0 < len(topics) <= MAX_TOPICS:
        raise Invalid(
            "topics", f"Name 1 to {MAX_TOPICS} topics, or leave them out for the story's."
        )
    return tuple(dict.fromkeys(topic.parse_path(path) for path in topics))


def _later(send_at: datetime | None, now: datetime) -> datetime | None:
    if send_at is None or send_at <= now:
        return None
    if send_at > now + FARTHEST_SEND:
        raise Invalid("send_at", f"At most {FARTHEST_SEND.days} days ahead.")
    return send_at
