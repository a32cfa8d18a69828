"""Who is in an alert's audience. The same rule stands in SQL in `service.store.readers.audience`.

A property test holds the two together on real Postgres.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from service.domain import topic as topics
from service.domain.people import Reader
from service.domain.subscription import Subscription, Urgency
from service.domain.time_zone import local_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Whom an alert is for, judged at one moment: the alert's `started_at`.

    `topics` holds every matching path: those named, all their ancestors and, for the usual
    audience of a story, the story's own topic. `story_topic` is the topic whose mute beats all.
    With a `reader_id` it is that reader and nobody else.
    """

    topics: frozenset[str]
    story_topic: str
    urgency: Urgency
    moment: datetime
    everyone: bool = False
    reader_id: int | None = None

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


def wants(audience: Audience, reader: Reader, subscriptions: Iterable[Subscription]) -> bool:
    """Whether the reader is in the audience.

    Quiet hours exclude unless the alert is breaking. Any matching subscription suffices, but a
    mute on a topic beats a follow of its ancestors, and a mute of the story beats all. `everyone`
    respects quiet hours only, and the audience of one reader respects no rule.
    """
    if audience.reader_id is not None:
        return reader.id == audience.reader_id
    if audience.urgency is not Urgency.BREAKING and in_quiet_hours(reader, audience.moment):
        return False
    if audience.everyone:
        return True
    all_subscriptions = list(subscriptions)
    muted = {s.topic for s in all_subscriptions if s.muted(audience.moment)}
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
