"""The one statement that packs the devices of a shard into batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.audience import LeftOut
from service.domain.delivery import State
from service.domain.pace.spread import Spread
from service.store.deliveries.result_sharing import sharing
from service.store.readers import audience
from service.store.readers.audience import FrozenAudience
from service.store.readers.left_out_rules import counts_sql, keep_sends_sql
from service.store.sql_fragments import DELIVERIES, HOLDS_ANY_VERSION

BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAlert:
    """What fan-out needs to know of an alert: its audience is frozen.

    `spread` says when its shards are released; None is at once, or at a local time where its
    audience says so. `choices_exist`: some reader has said whether its results may be counted.
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
    choices_exist: bool = False
    dry_run: bool = False
    spread: Spread | None = None

    @property
    def counts(self) -> bool:
        """Whether it counts against a cap: the readers that it goes to are kept."""
        return LeftOut.FREQUENCY in self.audience.rules and not self.dry_run

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
        {results} AS results{columns} FROM device_in{join}) judged
) packed GROUP BY {group}, part
"""

_AT_ONCE = {
    "group": "provider, strangers, results",
    "columns": "",
    "names": "",
    "values": "",
    "claimable_at": "now()",
}
_SPREAD = {**_AT_ONCE, "claimable_at": "greatest(now(), :release_at)"}
_BY_ZONE = {
    "group": "release_at, provider, strangers, results",
    "columns": ", release_at, zone",
    "names": ", expires_at, zone",
    "values": ", greatest(now(), release_at) + make_interval(secs => :ttl_s), "
    "mode() WITHIN GROUP (ORDER BY zone)",
    "claimable_at": "greatest(now(), release_at)",
}
"""A batch of its own for each release: zones with the same clock share theirs."""

_IS_AT_STRANGERS = """CASE WHEN device_in.provider = ANY(:open_providers) THEN EXISTS (
        SELECT 1 FROM device JOIN unnest(CAST(:open_providers AS text[]),
            CAST(:known_servers AS text[])) AS open (name, known) ON open.name = device_in.provider
        WHERE device.id = device_in.id AND device.address !~ open.known)
    ELSE false END"""

_COUNT_LEFT_OUT = f""", counted AS (
    UPDATE shard SET left_out = ({counts_sql()}) WHERE alert_id = :alert_id AND n = :shard_n
)"""

_DEVICES_OF_CHAIN = f"""
WITH of_chain AS (
    SELECT id FROM alert WHERE id = :root OR (source_alert_id = :root AND NOT dry_run)
), device_in AS (
    SELECT d.id, b.provider{{columns}} FROM {DELIVERIES}
    WHERE b.alert_id IN (SELECT id FROM of_chain) AND b.shard_n >= :lo AND b.shard_n < :hi
    AND b.provider = ANY(:providers) AND {HOLDS_ANY_VERSION} GROUP BY d.id, b.provider
)"""
"""The corrections of an alert have its shard numbers, so one range covers the whole chain."""
_ZONES_OF_CHAIN = """, min(CASE WHEN b.started_at IS NULL THEN b.claimable_at ELSE now() END)
        AS release_at, min(b.zone) AS zone"""
"""What was to leave for a device later leaves then, in its latest version."""


def pack_shard(
    session: Session,
    alert: PlannedAlert,
    shard: tuple[int, int, int],
    providers: Sequence[str],
    *,
    release_at: datetime | None,
    known_servers: Mapping[str, str],
    results_by_default: bool,
) -> None:
    """Write the batches of a shard (number, lo, hi), which leave at `release_at`; None: at once."""
    n, lo, hi = shard
    values, devices = _devices(session, alert, alert.through(providers), lo, hi)
    is_stopped = alert.state is AlertState.STOPPED
    strangers = "false"
    if known_servers:
        strangers = _IS_AT_STRANGERS
        values |= {
            "open_providers": list(known_servers),
            "known_servers": list(known_servers.values()),
        }
    values |= {
        "alert_id": alert.alert_id,
        "shard_n": n,
        "size": BATCH,
        "cancelled": is_stopped,
        "byte": f"{State.CANCELLED if is_stopped else State.PENDING:02x}",
        "release_at": release_at,
        "ttl_s": alert.ttl.total_seconds(),
        "results_by_default": results_by_default,
    }
    parts = _BY_ZONE if alert.has_zones else _SPREAD if release_at else _AT_ONCE
    choice = sharing(alert.source_alert_id, choices_exist=alert.choices_exist)
    pack = _PACK.format(strangers=strangers, results=choice.expression, join=choice.join, **parts)
    session.execute(text(devices + choice.cte + pack), values)


def _devices(
    session: Session, alert: PlannedAlert, providers: Sequence[str], lo: int, hi: int
) -> tuple[dict[str, Any], str]:
    """Return the values and the CTEs that end in `device_in(id, provider)`, and a `reader_id`.

    Of an alert that leaves at a local time it has also `release_at` and `zone`.
    """
    if alert.source_alert_id is None:
        values = audience.parameters(session, alert.audience, lo, hi, providers)
        sql = audience.devices_sql(alert.audience)
        if alert.audience.rules:
            sql += _COUNT_LEFT_OUT + (keep_sends_sql() if alert.counts else "")
        return values, sql
    return {
        "root": alert.source_alert_id,
        "lo": lo,
        "hi": hi,
        "takes_over": alert.takes_over,
        "providers": list(providers),
    }, _DEVICES_OF_CHAIN.format(columns=_ZONES_OF_CHAIN if alert.has_zones else "")
