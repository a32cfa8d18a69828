"""An alert: what we decided to say about a story, once, to an audience."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.audience import LeftOut
from service.domain.headlines.headline_choice import HeadlineChoice, HeadlineFigures
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.pace.local_release import LocalRelease, Release
from service.domain.subscription import Urgency
from service.domain.totals import Timing, Totals

DEFAULT_TTL = timedelta(hours=4)
TEST_TTL = timedelta(minutes=10)
SHORTEST_TTL = timedelta(seconds=1)
LONGEST_TTL = timedelta(days=28)
FARTHEST_SEND = timedelta(days=366)
MAX_TITLE = 500
MAX_TEXT = 5000
MAX_APPS = 50
MAX_TOPICS = 50
MAX_LOCALES = 50


class Kind(StrEnum):
    """The story's one first alert, a correction of it, its withdrawal, or an editor's test.

    A digest is of no one story: it tells readers what quiet hours kept away from them.
    """

    FIRST = "first"
    UPDATE = "update"
    WITHDRAWAL = "withdrawal"
    TEST = "test"
    DIGEST = "digest"


class AlertState(StrEnum):
    """Where an alert stands. The last three are final, but a replay returns it to sending."""

    SCHEDULED = "scheduled"
    PLANNING = "planning"
    SENDING = "sending"
    FINISHED = "finished"
    STOPPED = "stopped"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Whether nothing more will be sent unasked."""
        return self in (AlertState.FINISHED, AlertState.STOPPED, AlertState.EXPIRED)

    @property
    def running(self) -> bool:
        """Whether pushes may be leaving now."""
        return self in (AlertState.PLANNING, AlertState.SENDING)


@dataclass(frozen=True, slots=True)
class Words:
    """Title and body of an alert in one language."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an editor asks for; None means "as the story says".

    `topics` None is the story's own audience; `update` alone corrects the first alert. `apps` None
    is every app; with `one_device` it goes to each reader's device that was seen last.
    """

    title: str | None = None
    body: str | None = None
    urgency: Urgency = Urgency.NORMAL
    topics: tuple[str, ...] | None = None
    everyone: bool = False
    ttl: timedelta = DEFAULT_TTL
    send_at: datetime | None = None
    dry_run: bool = False
    update: bool = False
    locales: Mapping[str, Words] = field(default_factory=dict)
    apps: tuple[str, ...] | None = None
    one_device: bool = False
    spread: timedelta = timedelta(0)
    """Over how long it leaves; nothing is at once, as breaking alerts and corrections do."""
    local_release: LocalRelease | None = None
    """The time of day at which it leaves where each reader is; None is everywhere at once."""
    headline_test: HeadlineTest | None = None
    """A second headline that is tried beside the first."""
    ends_by: datetime | None = None
    """When its story expires: later than that nothing of it leaves."""
    undo: timedelta = timedelta(0)
    """How long it can still be undone; a breaking alert leaves at once."""

    @property
    def undoable(self) -> bool:
        """Whether it waits a moment before it leaves, so that a mistake reaches nobody."""
        at_once = self.send_at is None and self.urgency is not Urgency.BREAKING
        return at_once and not self.dry_run and self.undo > timedelta(0)

    @property
    def corrects(self) -> bool:
        """Whether it goes to exactly those who got the first alert."""
        return self.update and self.topics is None and not self.everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as its row says. Words are None while a scheduled alert follows its story.

    With a `source_alert_id` it goes to the devices of that alert that have it, and with
    `takes_over` to those the source had not reached when this one stopped it. A test, and nothing
    else, has a `reader_id`: the one reader it is for.
    """

    id: int
    story_id: int
    kind: Kind
    state: AlertState
    title: str | None
    body: str | None
    urgency: Urgency
    collapse_key: str
    created_at: datetime
    expires_at: datetime
    locales: Mapping[str, Words] = field(default_factory=dict)
    topics: tuple[str, ...] | None = None
    everyone: bool = False
    dry_run: bool = False
    ttl: timedelta = DEFAULT_TTL
    send_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stop_reason: str | None = None
    wait_reason: str | None = None
    source_alert_id: int | None = None
    takes_over: bool = False
    reader_id: int | None = None
    restored_at: datetime | None = None
    created_by: str = ""
    apps: tuple[str, ...] | None = None
    one_device: bool = False
    spread: timedelta = timedelta(0)
    """Over how long it leaves. A correction has its root's, and what that has not reached waits."""
    local_release: LocalRelease | None = None
    """The time of day at which it leaves where each reader is. A correction has its root's."""
    headline_test: HeadlineTest | None = None
    undoable: bool = False
    """Its `send_at` is the end of the moment in which its editor can undo it."""

    @property
    def due_at(self) -> datetime:
        """From when its timing counts: `send_at`, or `created_at` without one."""
        return self.send_at or self.created_at

    @property
    def unbegun(self) -> bool:
        """Whether it is to leave now and nobody has begun to plan it."""
        return self.state is AlertState.PLANNING and self.started_at is None

    @property
    def root_id(self) -> int:
        """The alert that this one corrects or withdraws, itself where it is neither."""
        return self.source_alert_id or self.id

    @property
    def queue(self) -> str:
        """The queue its tasks wait in."""
        return queue_of(self.urgency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An alert with what became of it.

    `causes` is by provider the most frequent last reason of deliveries that were tried in vain.
    `known` are the devices that can report it and whose readers let us count what they open:
    `shown` and `opened` are of these.
    """

    alert: Alert
    totals: Totals
    by_app: Mapping[str, Totals]
    by_provider: Mapping[str, Totals]
    timing: Timing
    causes: Mapping[str, str] = field(default_factory=dict)
    shown: int = 0
    opened: int = 0
    known: int = 0
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)
    headlines: Sequence[HeadlineFigures] = ()
    """Its two headlines, where it has two, and what became of them in the test."""
    headline_choice: HeadlineChoice | None = None
    releases: Sequence[Release] = ()
    """Where an alert with a local time has not left yet, the next first."""


def queue_of(urgency: Urgency) -> str:
    """Return `urgent` for breaking alerts and `normal` for the rest."""
    return "urgent" if urgency is Urgency.BREAKING else "normal"


def collapse_key(story_id: int, kind: Kind = Kind.FIRST) -> str:
    """Return the key by which later alerts of a story replace earlier ones on a screen.

    Tests have one of their own: neither they nor the story's alert ever replace the other.
    """
    return f"test-{story_id}" if kind is Kind.TEST else f"story-{story_id}"
