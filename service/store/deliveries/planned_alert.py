"""An alert as fan-out knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.alert import AlertState, Kind
from service.domain.audience import LeftOut
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.pace.spread import Spread
from service.store.readers.audience import FrozenAudience


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAlert:
    """What fan-out needs to know of an alert: its audience is frozen.

    `spread` says when its shards are released; None is at once, or at a local time where its
    audience says so. `choices_exist`: some reader has said whether its results may be counted;
    `digests_exist`: some reader wants digests. `start_place` is the place in PostgreSQL's log from
    which on its audience is seen, where a replica may read it.
    """

    alert_id: int
    kind: Kind
    state: AlertState
    source_alert_id: int | None
    takes_over: bool
    audience: FrozenAudience
    apps: frozenset[str] | None
    apps_revision: int
    ttl: timedelta
    expires_at: datetime
    headline_test: HeadlineTest | None = None
    choices_exist: bool = False
    digests_exist: bool = False
    dry_run: bool = False
    spread: Spread | None = None
    start_place: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it counts against a cap: the readers that it goes to are kept."""
        return LeftOut.FREQUENCY in self.audience.rules and not self.dry_run

    @property
    def notes_missed(self) -> bool:
        """Whether those whom quiet hours keep it from are noted, to be told afterwards."""
        is_judged = LeftOut.QUIET_HOURS in self.audience.rules
        return is_judged and self.digests_exist and not self.dry_run

    @property
    def leaves_at_once(self) -> bool:
        """Whether all its batches may leave as soon as they are packed."""
        return self.spread is None and not self.has_zones

    @property
    def has_zones(self) -> bool:
        """Whether it leaves at a time of day in each zone."""
        return self.audience.local_release is not None

    def through(self, names: Sequence[str]) -> list[str]:
        """Return those of the apps in use that the alert goes to."""
        return [name for name in names if self.apps is None or name in self.apps]
