"""The devices of one shard: read by the statement that packs them, or beforehand by a replica."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.alert import Kind
from service.domain.audience import LeftOut
from service.store.deliveries import digests
from service.store.deliveries.planned_alert import PlannedAlert
from service.store.deliveries.result_sharing import sharing
from service.store.readers import audience
from service.store.readers.left_out_rules import bits_of_row, counts_sql, keep_sends_sql
from service.store.readers.missed_alerts import NOTE_MISSED
from service.store.replica import Replica
from service.store.sql_fragments import DELIVERIES, HOLDS_ANY_VERSION


@dataclass(frozen=True, slots=True)
class ShardDevices:
    """CTEs that end in `device_in(id, provider)`, and the values that they go with.

    Expressions say of a row whether its address is at a server that nobody named (`strangers`), and
    whether what it reports is counted (`results`); `join` is what they need. Of an alert that
    leaves at a local time, `device_in` has `release_at` and `zone` too.
    """

    ctes: str
    values: dict[str, Any]
    strangers: str
    results: str
    join: str = ""


_IS_AT_STRANGERS = """CASE WHEN device_in.provider = ANY(:open_providers) THEN EXISTS (
        SELECT 1 FROM device JOIN unnest(CAST(:open_providers AS text[]),
            CAST(:known_servers AS text[])) AS open (name, known) ON open.name = device_in.provider
        WHERE device.id = device_in.id AND device.address !~ open.known)
    ELSE false END"""

_COUNT_LEFT_OUT = """, counted AS (
    UPDATE shard SET left_out = ({counts}) WHERE alert_id = :alert_id AND n = :shard_n
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

_READ_BY_REPLICA = """
SELECT array_agg(provider) AS providers, array_agg(strangers) AS strangers,
    array_agg(results) AS results, array_agg(ids) AS ids, {left_out} AS left_out
FROM (SELECT provider, strangers, results, CAST(array_agg(id) AS text) AS ids
    FROM (SELECT device_in.id, device_in.provider, {strangers} AS strangers, {results} AS results
        FROM device_in{join}) judged GROUP BY provider, strangers, results) sums
"""
_READ_BEFORE = """
WITH device_in AS (
    SELECT unnest(CAST(ids AS bigint[])) AS id, provider, strangers, results
    FROM unnest(CAST(:apps AS text[]), CAST(:strangers AS boolean[]), CAST(:results AS boolean[]),
        CAST(:ids AS text[])) AS t(provider, strangers, results, ids)
)"""


@dataclass(frozen=True, slots=True)
class Distinctions:
    """What is packed apart.

    Devices of the providers in `known_servers` whose address does not match the regular expression
    there, and those whose results are not counted, as of all devices of the providers
    `without_receipts`.
    """

    known_servers: Mapping[str, str]
    without_receipts: Sequence[str]
    results_by_default: bool

    def apply(self, alert: PlannedAlert, ctes: str, values: dict[str, Any]) -> ShardDevices:
        """Tell the devices apart that the CTEs end in."""
        choice = sharing(alert.source_alert_id, choices_exist=alert.choices_exist)
        all_values = values | {"results_by_default": self.results_by_default}
        strangers = "false"
        if self.known_servers:
            strangers = _IS_AT_STRANGERS
            all_values |= {
                "open_providers": list(self.known_servers),
                "known_servers": list(self.known_servers.values()),
            }
        results = choice.expression
        if self.without_receipts:
            results = f"({results} AND device_in.provider <> ALL(:without_receipts))"
            all_values |= {"without_receipts": list(self.without_receipts)}
        return ShardDevices(ctes + choice.cte, all_values, strangers, results, choice.join)


def find_devices(
    session: Session,
    alert: PlannedAlert,
    names: Sequence[str],
    readers: tuple[int, int],
    distinctions: Distinctions,
    replica: Replica,
) -> ShardDevices:
    """Return how to read the devices of the `readers` from lo to hi, without hi.

    Where the replica has replayed the alert's start, it reads them now. What depends on rows that
    workers have just written is always read by the primary: the devices of a chain, and who has
    had enough alerts; so are alerts that leave at a local time or have two headlines, and those
    whose being missed is noted.
    """
    if alert.kind is Kind.DIGEST:
        values, ctes = digests.digest_devices(session, alert.alert_id, names, *readers)
        return distinctions.apply(alert, ctes, values)
    if alert.source_alert_id is not None:
        return distinctions.apply(alert, *_of_chain(alert, names, readers))

    recipients = audience.without_needless_rules(session, alert.audience, alert.alert_id, *readers)

    def read_by(reading: Session) -> ShardDevices:
        values = audience.parameters(reading, recipients, *readers, names)
        return distinctions.apply(alert, audience.devices_sql(recipients), values)

    counts = counts_sql(candidates=bool(recipients.rules)) if alert.audience.rules else None
    if _is_plain(alert):
        row = replica.read(alert.start_place, lambda s: _read(s, read_by(s), counts))
        if row is not None:
            return _read_before(row)
    devices = read_by(session)
    ctes = devices.ctes + (_COUNT_LEFT_OUT.format(counts=counts) if counts else "")
    ctes += (keep_sends_sql() if alert.counts else "") + (NOTE_MISSED if alert.notes_missed else "")
    return replace(devices, ctes=ctes, values={**devices.values, "row_bits": bits_of_row(*readers)})


def _is_plain(alert: PlannedAlert) -> bool:
    """Whether a replica may read its devices."""
    is_counted = LeftOut.FREQUENCY in alert.audience.rules
    is_apart = alert.has_zones or alert.headline_test is not None
    return not (is_counted or is_apart or alert.notes_missed)


def _of_chain(
    alert: PlannedAlert, names: Sequence[str], readers: tuple[int, int]
) -> tuple[str, dict[str, Any]]:
    lo, hi = readers
    return _DEVICES_OF_CHAIN.format(columns=_ZONES_OF_CHAIN if alert.has_zones else ""), {
        "root": alert.source_alert_id,
        "lo": lo,
        "hi": hi,
        "takes_over": alert.takes_over,
        "providers": list(names),
    }


def _read(session: Session, devices: ShardDevices, counts: str | None) -> Row[Any]:
    query = _READ_BY_REPLICA.format(
        strangers=devices.strangers,
        results=devices.results,
        join=devices.join,
        left_out=f"({counts})" if counts else "NULL",
    )
    return session.execute(text(devices.ctes + query), devices.values).one()


def _read_before(row: Row[Any]) -> ShardDevices:
    values = {
        "apps": row.providers or [],
        "strangers": row.strangers or [],
        "results": row.results or [],
        "ids": row.ids or [],
        "left_out": row.left_out,
    }
    counts = "" if row.left_out is None else _COUNT_LEFT_OUT.format(counts=":left_out")
    return ShardDevices(_READ_BEFORE + counts, values, "strangers", "results")
