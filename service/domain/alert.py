"""An alert: what we decided to say about a story, once, to an audience."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.delivery import Timing, Totals
from service.domain.subscription import Urgency

DEFAULT_TTL = timedelta(hours=4)
LONGEST_TTL = timedelta(days=28)
MAX_TITLE = 500
MAX_TEXT = 5000


class Kind(StrEnum):
    """The story's one first alert, a correction of it, or its withdrawal."""

    FIRST = "first"
    UPDATE = "update"
    WITHDRAWAL = "withdrawal"


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

    `topics` None is the story's own audience; `update` alone corrects the first alert.
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

    @property
    def corrects(self) -> bool:
        """Whether it goes to exactly those who got the first alert."""
        return self.update and self.topics is None and not self.everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as its row says. Words are None while a scheduled alert follows its story."""

    id: int
    story_id: int
    kind: Kind
    state: AlertState
    title: str | None
    body: str | None
    locales: Mapping[str, Words]
    urgency: Urgency
    topics: tuple[str, ...] | None
    everyone: bool
    collapse_key: str
    dry_run: bool
    created_at: datetime
    expires_at: datetime
    send_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stop_reason: str | None = None
    source_alert_id: int | None = None
    created_by: str = ""

    @property
    def due_at(self) -> datetime:
        """From when its timing counts: `send_at`, or `created_at` without one."""
        return self.send_at or self.created_at

    @property
    def queue(self) -> str:
        """The queue its tasks wait in."""
        return queue_of(self.urgency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An alert with what became of it."""

    alert: Alert
    totals: Totals
    by_provider: Mapping[str, Totals]
    timing: Timing
    shown: int = 0
    opened: int = 0


def queue_of(urgency: Urgency) -> str:
    """Return `urgent` for breaking alerts and `normal` for the rest."""
    return "urgent" if urgency is Urgency.BREAKING else "normal"


def collapse_key(story_id: int) -> str:
    """Return the key by which later alerts of a story replace earlier ones on a screen."""
    return f"story-{story_id}"
