"""The one statement that packs the devices of a shard into batches."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import AlertState, Kind
from service.domain.delivery import State
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.deliveries.shard_devices import Distinctions, find_devices
from service.store.replica import Replica

BATCH = 1000


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
