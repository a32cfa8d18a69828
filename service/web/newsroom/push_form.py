"""The fields of Send Push: parsed into a draft, and shown again as they were typed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Form
from pydantic import BaseModel

from service.domain.alert import (
    DEFAULT_TTL,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TOPICS,
    Alert,
    Draft,
    Words,
)
from service.domain.errors import Invalid
from service.domain.headlines.headline_test import (
    DEFAULT_MINUTES,
    DEFAULT_SHARE,
    LEAST_SHARE,
    MOST_MINUTES,
    MOST_SHARE,
    HeadlineTest,
)
from service.domain.pace.local_release import LocalRelease, MissedZones
from service.domain.pace.spread import LONGEST_SPREAD
from service.domain.story import Story
from service.domain.subscription import Urgency
from service.web.newsroom.push_time import parse_local_release, parse_local_time

LOCALE_ROWS = 3
LIFETIMES = (
    (30 * 60, "half an hour"),
    (3600, "an hour"),
    (4 * 3600, "4 hours"),
    (12 * 3600, "12 hours"),
    (24 * 3600, "a day"),
    (72 * 3600, "3 days"),
)
SPREADS = (
    (0, "At once"),
    (5 * 60, "Over 5 minutes"),
    (15 * 60, "Over 15 minutes"),
    (60 * 60, "Over an hour"),
)
"""Over how many seconds an alert can leave, in words."""
TEST_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
TEST_MINUTES = (5, 10, 20, 30, 60)
FLASH = 1
"""The agencies' highest urgency."""
_GUARD_FIELDS = frozenset({"confirm", "counted", "intent", "csrf"})
_Title = Annotated[str, Form(max_length=MAX_TITLE)]
_Text = Annotated[str, Form(max_length=MAX_TEXT)]


class PushFields(BaseModel):
    """The form as the browser sends it."""

    mode: Annotated[str, Form(pattern="^(first|correct|again)$")] = "first"
    title: _Title = ""
    body: _Text = ""
    urgency: Urgency = Urgency.NORMAL
    audience: Annotated[str, Form(pattern="^(story|topics|everyone)$")] = "story"
    topic: Annotated[list[str], Form(max_length=50)] = []
    when: Annotated[str, Form(pattern="^(now|at|local)?$")] = ""
    send_at: Annotated[str, Form(max_length=40)] = ""
    local_time: Annotated[str, Form(max_length=8)] = ""
    local_day: Annotated[str, Form(max_length=10)] = ""
    when_missed: MissedZones = MissedZones.TOMORROW
    zone: Annotated[str, Form(max_length=64)] = "UTC"
    ttl: Annotated[int, Form(ge=1, le=28 * 86_400)] = int(DEFAULT_TTL.total_seconds())
    spread: Annotated[int, Form(ge=0, le=int(LONGEST_SPREAD.total_seconds()))] = 0
    second_title: _Title = ""
    second_body: _Text = ""
    test_share: Annotated[float, Form(ge=LEAST_SHARE, le=MOST_SHARE)] = DEFAULT_SHARE
    test_minutes: Annotated[int, Form(ge=1, le=MOST_MINUTES)] = DEFAULT_MINUTES
    dry_run: str = ""
    correct_story: str = ""
    confirm: str = ""
    counted: int | None = None
    intent: Annotated[str, Form(max_length=100)] = ""
    locale_tag_1: Annotated[str, Form(max_length=40)] = ""
    locale_title_1: _Title = ""
    locale_body_1: _Text = ""
    locale_tag_2: Annotated[str, Form(max_length=40)] = ""
    locale_title_2: _Title = ""
    locale_body_2: _Text = ""
    locale_tag_3: Annotated[str, Form(max_length=40)] = ""
    locale_title_3: _Title = ""
    locale_body_3: _Text = ""

    def locales(self) -> list[tuple[str, str, str]]:
        """Return tag, title and text of each row of words in other languages."""
        return [
            (
                getattr(self, f"locale_tag_{n}").strip(),
                getattr(self, f"locale_title_{n}"),
                getattr(self, f"locale_body_{n}"),
            )
            for n in range(1, LOCALE_ROWS + 1)
        ]

    def draft_words(self) -> Draft:
        """Return the words and the urgency, which is all that a test needs."""
        return Draft(
            title=self.title.strip() or None,
            body=self.body.strip() or None,
            urgency=self.urgency,
            locales={tag: Words(t, b) for tag, t, b in self.locales() if tag},
        )

    def parse(self, now: datetime | None = None, undo: timedelta = timedelta(0)) -> Draft:
        """Return the whole draft. Raises `Invalid`, for a time before `now` too."""
        topics = tuple(self.topic) if self.audience == "topics" else None
        if self.mode != "correct" and topics == ():
            raise Invalid("topics", "Choose at least one topic, or another audience.")
        is_correction = self.mode == "correct"
        return replace(
            self.draft_words(),
            topics=None if is_correction else topics,
            everyone=not is_correction and self.audience == "everyone",
            ttl=timedelta(seconds=self.ttl),
            send_at=self._parse_send_at(now),
            spread=self._parse_spread(),
            local_release=self._parse_local_release(now),
            headline_test=self._parse_headlines(),
            undo=undo,
            dry_run=bool(self.dry_run),
            update=self.mode != "first",
        )

    def _parse_spread(self) -> timedelta:
        """Return over how long it leaves; the choice is hidden where it leaves at once anyway."""
        paceless = self._leaves_at_once or self.when == "local"
        return timedelta(0) if paceless else timedelta(seconds=self.spread)

    def _parse_headlines(self) -> HeadlineTest | None:
        if not self.second_title.strip() or self._leaves_at_once:
            return None
        return HeadlineTest(
            title=self.second_title.strip(),
            body=self.second_body.strip() or None,
            share=self.test_share,
            minutes=self.test_minutes,
        )

    def _parse_local_release(self, now: datetime | None) -> LocalRelease | None:
        if self.when != "local" or self._leaves_at_once:
            return None
        return parse_local_release(
            self.local_time, self.local_day, self.when_missed, self.zone, now
        )

    @property
    def _leaves_at_once(self) -> bool:
        return self.urgency is Urgency.BREAKING or self.mode == "correct"

    def _parse_send_at(self, now: datetime | None) -> datetime | None:
        if self.when == "local" or not self.send_at.strip():
            return None
        moment = parse_local_time(self.send_at, self.zone)
        if now is not None and moment <= now:
            words = f"{self.send_at.strip().replace('T', ' ')} ({self.zone}) has passed"
            raise Invalid("send_at", f"{words}: choose a later time, or empty it to send now.")
        return moment

    def content(self) -> dict[str, Any]:
        """Return the fields that say what to send, without those that only guard the sending."""
        return self.model_dump(mode="json", exclude=set(_GUARD_FIELDS))


def fields_of_alert(alert: Alert, mode: str) -> PushFields:
    """Return the form as it was when an alert that was undone left it."""
    audience = "everyone" if alert.everyone else "story" if alert.topics is None else "topics"
    return PushFields(
        mode=mode,
        title=alert.title or "",
        body=alert.body or "",
        urgency=alert.urgency,
        audience=audience,
        topic=list(alert.topics or ())[:MAX_TOPICS],
        ttl=int(alert.ttl.total_seconds()),
        spread=int(alert.spread.total_seconds()),
        **_local_fields(alert.local_release),
        **_headline_fields(alert.headline_test),
    ).model_copy(update=_locale_rows(alert))


def _headline_fields(test: HeadlineTest | None) -> dict[str, Any]:
    if test is None:
        return {}
    return {
        "second_title": test.title,
        "second_body": test.body or "",
        "test_share": test.share,
        "test_minutes": test.minutes,
    }


def _local_fields(local: LocalRelease | None) -> dict[str, Any]:
    if local is None:
        return {}
    return {
        "when": "local",
        "local_time": f"{local.time_of_day:%H:%M}",
        "local_day": local.day.isoformat() if local.day else "",
        "when_missed": local.when_missed,
    }


def _locale_rows(alert: Alert) -> dict[str, str]:
    rows = list(alert.locales.items())[:LOCALE_ROWS]
    return {
        f"locale_{name}_{n}": value
        for n, (tag, words) in enumerate(rows, 1)
        for name, value in (("tag", tag), ("title", words.title), ("body", words.body))
    }


def initial_fields(story: Story, mode: str) -> PushFields:
    """Return the form as it is first shown, with the words of the story."""
    return PushFields(
        mode=mode,
        title=story.text.headline[:MAX_TITLE],
        body=story.text.summary[:MAX_TEXT],
        urgency=suggested_urgency(story) if mode == "first" else Urgency.NORMAL,
        topic=list(story.text.topics),
    )


def suggested_urgency(story: Story) -> Urgency:
    """Return breaking for a story that its agency calls a flash; the editor decides."""
    return Urgency.BREAKING if story.text.urgency == FLASH else Urgency.NORMAL


def template_values(fields: PushFields) -> dict[str, Any]:
    """Return the fields as the template shows them."""
    return {
        "mode": fields.mode,
        "title": fields.title,
        "body": fields.body,
        "urgency": fields.urgency.value,
        "audience": fields.audience,
        "topics": fields.topic,
        "when": fields.when or ("at" if fields.send_at else "now"),
        "send_at": fields.send_at,
        "local_time": fields.local_time or "07:00",
        "local_day": fields.local_day,
        "when_missed": fields.when_missed.value,
        "ttl": fields.ttl,
        "second_title": fields.second_title,
        "second_body": fields.second_body,
        "test_share": fields.test_share,
        "test_minutes": fields.test_minutes,
        "spread": fields.spread,
        "dry_run": bool(fields.dry_run),
        "correct_story": bool(fields.correct_story),
        "locales": fields.locales(),
    }
