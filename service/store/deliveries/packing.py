"""The one statement that packs the devices of a shard into batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.audience import LeftOut
from service.domain.delivery import State
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.pace.spread import Spread
from service.store.deliveries.shard_devices import Distinctions, find_devices
from service.store.readers.audience import FrozenAudience
from service.store.replica import Replica

BATCH = 1000


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


_PACK = """
INSERT INTO batch (alert_id, shard_n, n, provider, strangers, results, device_ids, states, counts,
    claimable_at, finished_at{names})
SELECT :alert_id, :shard_n, row_number() OVER (ORDER BY {group}, part) - 1,
    provider, strangers, results, array_agg(id ORDER BY id),
    decode(repeat(:byte, count(*)::int), 'hex'),
    CASE WHEN :cancelled THEN ARRAY[0,0,0,0,0,0,count(*)::int]
        ELSE ARRAY[count(*)::int,0,0,0,0,0,0] END, {claimable_at},
    CASE WHEN :cancelled THEN now() END{values}
FROM (
    SELECT id, provider, strangers, results{columns},
        (row_number() OVER (PARTITION BY {group} ORDER BY id) - 1) / :size AS part
    FROM (SELECT device_in.id, device_in.provider, {strangers} AS strangers,
        {results} AS results{drawn_columns} FROM device_in{join}) judged
) packed GROUP BY {group}, part
"""

_AT_ONCE = {
    "group": "provider, strangers, results",
    "columns": "",
    "drawn_columns": "",
    "names": "",
    "values": "",
    "claimable_at": "now()",
}
_SPREAD = {**_AT_ONCE, "claimable_at": "greatest(now(), :release_at)"}
_BY_MISSED = {
    **_AT_ONCE,
    "group": "provider, strangers, results, missed",
    "columns": ", missed",
    "drawn_columns": ", missed",
    "names": ", missed",
    "values": ", CAST(missed AS bigint[])",
}
"""Readers who missed the same are told the same."""
_BY_ZONE = {
    "group": "release_at, provider, strangers, results",
    "columns": ", release_at, zone",
    "drawn_columns": ", device_in.release_at, device_in.zone",
    "names": ", expires_at, zone",
    "values": ", greatest(now(), release_at) + make_interval(secs => :ttl_s), "
    "mode() WITHIN GROUP (ORDER BY zone)",
    "claimable_at": "greatest(now(), release_at)",
}
"""A batch of its own for each release: zones with the same clock share theirs."""

_DRAW = """('x' || left(md5(CAST(CAST(:alert_id AS bigint) AS text) || ':'
    || CAST(device_in.reader_id AS text)), 8))::bit(32)::bigint"""
"""As `draw_of` of `domain.headlines.headline_test`."""
_BY_HEADLINE = {
    "group": "headline, provider, strangers, results",
    "columns": ", headline",
    "drawn_columns": f", CASE WHEN {_DRAW} < :first_limit THEN 0 WHEN {_DRAW} < :second_limit "
    "THEN 1 END AS headline",
    "names": ", headline, in_test",
    "values": ", headline, headline IS NOT NULL",
    "claimable_at": "CASE WHEN headline IS NULL THEN CAST(:expires_at AS timestamptz) "
    "ELSE now() END",
}
"""The rest may be claimed when a headline is chosen for it: `alerts.headline_tests`."""


def pack_shard(
    session: Session,
    alert: PlannedAlert,
    shard: tuple[int, int, int],
    providers: Sequence[str],
    *,
    release_at: datetime | None,
    distinctions: Distinctions,
    replica: Replica,
) -> None:
    """Write the batches of a shard (number, lo, hi), which leave at `release_at`; None: at once."""
    n, lo, hi = shard
    names = alert.through(providers)
    devices = find_devices(session, alert, names, (lo, hi), distinctions, replica)
    is_stopped = alert.state is AlertState.STOPPED
    values = devices.values | {
        "alert_id": alert.alert_id,
        "shard_n": n,
        "size": BATCH,
        "cancelled": is_stopped,
        "byte": f"{State.CANCELLED if is_stopped else State.PENDING:02x}",
        "release_at": release_at,
        "ttl_s": alert.ttl.total_seconds(),
    }
    parts = _parts(alert, release_at)
    if alert.headline_test is not None:
        limits = alert.headline_test.limits
        values |= dict(zip(("first_limit", "second_limit"), limits, strict=True))
        values["expires_at"] = alert.expires_at
    pack = _PACK.format(
        strangers=devices.strangers, results=devices.results, join=devices.join, **parts
    )
    session.execute(text(devices.ctes + pack), values)


def _parts(alert: PlannedAlert, release_at: datetime | None) -> Mapping[str, str]:
    if alert.kind is Kind.DIGEST:
        return _BY_MISSED
    if alert.headline_test is not None:
        return _BY_HEADLINE
    return _BY_ZONE if alert.has_zones else _SPREAD if release_at else _AT_ONCE
