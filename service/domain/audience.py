"""Who is in an alert's audience. The same rule stands in SQL in `service.store.readers.audience`.

A property test holds the two together on real Postgres.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain import topic as topics
from service.domain.language import base_languages
from service.domain.pace.local_release import LocalRelease
from service.domain.people import Reader
from service.domain.subscription import Subscription, Urgency
from service.domain.time_zone import local_time

CAP_WINDOW = timedelta(hours=24)
"""Over how long alerts are counted against a cap."""


class LeftOut(StrEnum):
    """Why a follower does not get an alert; the first that holds is the reason."""

    QUIET_HOURS = "quiet_hours"
    LANGUAGE = "language"
    FREQUENCY = "frequency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Whom an alert is for, judged at one moment: the alert's `started_at`.

    With a `local_release` each reader's quiet hours and mutes are judged by when the alert leaves
    in the reader's zone.

    `topics` holds every matching path: those named, all their ancestors and, for the usual
    audience of a story, the story's own topic. `story_topic` is the topic whose mute beats all.
    With a `reader_id` it is that reader and nobody else. `languages` are those that the alert can
    be read in, without regions; None: readers of any language get it. `frequency_cap` is the most
    normal and quiet alerts that a reader gets in `CAP_WINDOW`; 0: only readers' own wishes count,
    None: nothing is counted.
    """

    topics: frozenset[str]
    story_topic: str
    urgency: Urgency
    moment: datetime
    everyone: bool = False
    reader_id: int | None = None
    languages: frozenset[str] | None = None
    frequency_cap: int | None = None
    local_release: LocalRelease | None = None

    @classmethod
    def of_story(
        cls, story_id: int, paths: Iterable[str], urgency: Urgency, moment: datetime
    ) -> "Audience":
        """Return followers of the story's topics, of all above them and of the story itself."""
        story_topic = topics.story_topic(story_id)
        matching = frozenset(topics.with_ancestors(paths)) | {story_topic}
        return cls(topics=matching, story_topic=story_topic, urgency=urgency, moment=moment)

    @classmethod
    def of_topics(
        cls, story_id: int, paths: Iterable[str], urgency: Urgency, moment: datetime
    ) -> "Audience":
        """Return followers of the named topics and of all above them."""
        return cls(
            topics=frozenset(topics.with_ancestors(paths)),
            story_topic=topics.story_topic(story_id),
            urgency=urgency,
            moment=moment,
        )

    @classmethod
    def of_everyone(cls, story_id: int, urgency: Urgency, moment: datetime) -> "Audience":
        """Return every reader, follower of anything or not."""
        return cls(
            topics=frozenset(),
            story_topic=topics.story_topic(story_id),
            urgency=urgency,
            moment=moment,
            everyone=True,
        )

    @classmethod
    def of_reader(
        cls, story_id: int, reader_id: int, urgency: Urgency, moment: datetime
    ) -> "Audience":
        """Return one reader who asked for it: quiet hours and mutes do not apply."""
        return cls(
            topics=frozenset(),
            story_topic=topics.story_topic(story_id),
            urgency=urgency,
            moment=moment,
            reader_id=reader_id,
        )

    def in_languages(self, tags: Iterable[str]) -> "Audience":
        """Return the audience for an alert that can be read in these languages."""
        return replace(self, languages=base_languages(tags))

    def capped_at(self, cap: int | None) -> "Audience":
        """Return the audience without those who got so many alerts lately."""
        return replace(self, frequency_cap=cap)

    def released_by(self, local_release: LocalRelease | None) -> "Audience":
        """Return the audience of an alert that leaves at a time of day where each reader is."""
        return replace(self, local_release=local_release)

    def release_for(self, reader: Reader) -> datetime:
        """Return when the alert leaves for a reader."""
        if self.local_release is None:
            return self.moment
        return self.local_release.release_in(reader.timezone, self.moment)


def wants(
    audience: Audience, reader: Reader, subscriptions: Iterable[Subscription], recent: int = 0
) -> bool:
    """Whether the reader is in the audience: addressed, and left out by no rule."""
    is_follower = is_addressed(audience, reader, subscriptions)
    return is_follower and why_left_out(audience, reader, recent) is None


def why_left_out(audience: Audience, reader: Reader, recent: int = 0) -> LeftOut | None:
    """Return why the alert does not go to a reader whom it is addressed to; None: it does.

    Quiet hours exclude unless the alert is breaking. A language that the reader does not read
    excludes always; a reader who has named none reads all. `recent` is how many normal and quiet
    alerts went to the reader within `CAP_WINDOW`: the installation's cap or a lower wish of the
    reader excludes, unless the alert is breaking. The audience of one reader respects no rule.
    """
    if audience.reader_id is not None:
        return None
    release_at = audience.release_for(reader)
    if audience.urgency is not Urgency.BREAKING and in_quiet_hours(reader, release_at):
        return LeftOut.QUIET_HOURS
    if not _reads(audience, reader):
        return LeftOut.LANGUAGE
    return LeftOut.FREQUENCY if _has_enough(audience, reader, recent) else None


def _has_enough(audience: Audience, reader: Reader, recent: int) -> bool:
    if audience.frequency_cap is None or audience.urgency is Urgency.BREAKING:
        return False
    caps = [cap for cap in (audience.frequency_cap, reader.alerts_per_day) if cap]
    return any(recent >= cap for cap in caps)


def _reads(audience: Audience, reader: Reader) -> bool:
    if audience.languages is None or not reader.languages:
        return True
    return not audience.languages.isdisjoint(base_languages(reader.languages))


def is_addressed(audience: Audience, reader: Reader, subscriptions: Iterable[Subscription]) -> bool:
    """Whether the alert is for this reader by what the reader follows.

    Any matching subscription suffices, but a mute on a topic beats a follow of its ancestors, and
    a mute of the story beats all. `everyone` is every reader.
    """
    if audience.reader_id is not None:
        return reader.id == audience.reader_id
    if audience.everyone:
        return True
    all_subscriptions = list(subscriptions)
    release_at = audience.release_for(reader)
    muted = {s.topic for s in all_subscriptions if s.muted(release_at)}
    if audience.story_topic in muted:
        return False
    muted &= audience.topics
    return any(_suffices(audience, subscription, muted) for subscription in all_subscriptions)


def _suffices(audience: Audience, subscription: Subscription, muted: set[str]) -> bool:
    return (
        subscription.topic in audience.topics
        and subscription.topic not in muted
        and subscription.least_urgency.rank <= audience.urgency.rank
        and not any(topics.is_above(subscription.topic, path) for path in muted)
    )


def in_quiet_hours(reader: Reader, moment: datetime) -> bool:
    """Whether the reader's local wall clock stands within the reader's quiet hours."""
    if reader.quiet_hours is None:
        return False
    return reader.quiet_hours.hold(local_time(reader.timezone, moment))
