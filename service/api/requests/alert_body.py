"""The JSON of an alert that is to be sent or estimated."""

from datetime import UTC, time, timedelta
from typing import Annotated

from pydantic import Field

from service.domain.alert import (
    DEFAULT_TTL,
    LONGEST_TTL,
    MAX_APPS,
    MAX_LOCALES,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TOPICS,
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
from service.domain.subscription import Urgency
from service.http.dependencies import Closed, Line, WrittenMoment, at_most

Title = Annotated[str, Field(max_length=MAX_TITLE)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
_SECONDS = int(LONGEST_TTL.total_seconds())


class WordsBody(Closed):
    """What an alert says in one language."""

    title: Title
    body: Text

    def read(self) -> Words:
        """Return it as a domain value."""
        return Words(self.title, self.body)


class HeadlineBody(Closed):
    """One of two headlines."""

    title: Title
    body: Text | None = Field(None, description="Left out: the story's summary.")


class AlertBody(Closed):
    """What an editor asks for; what is left out comes from the story."""

    title: Title | None = Field(None, description="Left out: the story's headline.")
    body: Text | None = Field(None, description="Left out: the story's summary.")
    urgency: Urgency = Field(Urgency.NORMAL, description="Breaking disturbs quiet hours.")
    topics: Annotated[list[Line], at_most(MAX_TOPICS)] | None = Field(
        None, description="Left out: the story's topics and the story itself."
    )
    everyone: bool = Field(False, description="Every reader; cannot be combined with topics.")
    ttl_seconds: int = Field(
        int(DEFAULT_TTL.total_seconds()),
        ge=1,
        le=_SECONDS,
        description="How long the alert is worth showing.",
    )
    send_at: WrittenMoment | None = Field(None, description="Left out, or in the past: now.")
    dry_run: bool = Field(False, description="Does everything but send the pushes.")
    update: bool = Field(
        False,
        description="Alone: corrects the first alert on the devices that have it. With topics or "
        "everyone: another audience; the new text replaces the earlier one where it is shown.",
    )
    locales: Annotated[dict[str, WordsBody], at_most(MAX_LOCALES)] = Field({})
    apps: Annotated[list[Line], at_most(MAX_APPS)] | None = Field(
        None, description="The apps that it goes to, by name; left out: all of them."
    )
    spread_seconds: int = Field(
        0,
        ge=0,
        le=int(LONGEST_SPREAD.total_seconds()),
        description="Over how long it leaves, evenly, so that not all readers come to the site at "
        "once; normal and quiet alerts only. 0: at once.",
    )
    local_time: str | None = Field(
        None,
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        examples=["07:00"],
        description="Leaves at this time of day where each reader is, by the reader's time zone; "
        "normal and quiet alerts only, not with spread_seconds. With send_at it is that calendar "
        "day everywhere, as send_at is written; without, the day that it is in each zone now. "
        "Readers who have named no zone, or UTC, get it by the installation's NEWSZOP_TIMEZONE. "
        "A time that a zone skips when summer time begins is that much later; of one that comes "
        "twice it is the first. The TTL counts from each zone's time.",
    )
    missed: MissedZones | None = Field(
        None,
        description="Only with local_time: what becomes of zones where it has passed when the "
        "alert starts. tomorrow (if left out): it leaves there when it is that time again; now: at "
        "once.",
    )
    variants: Annotated[list[HeadlineBody], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Two headlines instead of title and body. A share of the readers gets each; "
        "after some minutes the one that was opened more goes to the rest, or, without a "
        "significant difference, the first. For normal and quiet alerts without update, locales, "
        "spread_seconds and local_time, to an audience that is large enough to tell: the estimate "
        "says how large (`needed_devices`).",
    )
    test_share: float = Field(
        DEFAULT_SHARE,
        ge=LEAST_SHARE,
        le=MOST_SHARE,
        description="With variants: the part of the readers that gets each of the two at first.",
    )
    test_minutes: int = Field(
        DEFAULT_MINUTES,
        ge=1,
        le=MOST_MINUTES,
        description="With variants: how long openings are counted from the start.",
    )
    one_device: bool = Field(
        False, description="Of each reader's devices only the one that was seen last."
    )

    def read(self) -> Draft:
        """Return it as a domain value."""
        first = self.variants[0] if self.variants else self
        return Draft(
            title=first.title,
            body=first.body,
            urgency=self.urgency,
            topics=None if self.topics is None else tuple(self.topics),
            everyone=self.everyone,
            ttl=timedelta(seconds=self.ttl_seconds),
            send_at=None if self.send_at is None else self.send_at.astimezone(UTC),
            dry_run=self.dry_run,
            update=self.update,
            locales={tag: words.read() for tag, words in self.locales.items()},
            apps=None if self.apps is None else tuple(dict.fromkeys(self.apps)),
            one_device=self.one_device,
            spread=timedelta(seconds=self.spread_seconds),
            local_release=self._local_release(),
            headline_test=self._headline_test(),
        )

    def _headline_test(self) -> HeadlineTest | None:
        if self.variants is None:
            return None
        if self.title is not None or self.body is not None:
            raise Invalid("variants", "Either variants, or title and body.")
        second = self.variants[1]
        return HeadlineTest(
            title=second.title,
            body=second.body,
            share=self.test_share,
            minutes=self.test_minutes,
        )

    def _local_release(self) -> LocalRelease | None:
        if self.local_time is None:
            if self.missed is not None:
                raise Invalid("missed", "Only an alert with a local_time can miss it.")
            return None
        return LocalRelease(
            time_of_day=time.fromisoformat(self.local_time),
            when_missed=self.missed or MissedZones.TOMORROW,
            day=None if self.send_at is None else self.send_at.date(),
        )
