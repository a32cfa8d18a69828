"""What happened to one device in an alert: its delivery, found in its batch, and the reason."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Alert
from service.domain.delivery import Delivery, State


@dataclass(frozen=True, slots=True)
class PlacedDelivery:
    """One delivery: its place in the batches of its alert, and what its byte says."""

    shard_n: int
    n: int
    position: int
    provider: str
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What happened to one device, with the reason where there is one to give."""

    state: State
    provider: str
    attempts: int
    unknown: bool
    reason: str | None


def report(session: Session, alert: Alert, device_id: int) -> DeviceReport | None:
    """Say what happened to one device; None when it is not in the alert's audience, or not yet."""
    location = find(session, alert, device_id)
    if location is None:
        return None
    return DeviceReport(
        state=location.delivery.state,
        provider=location.provider,
        attempts=location.delivery.attempts,
        unknown=location.delivery.unknown,
        reason=_reason(session, alert, device_id, location),
    )


def find(session: Session, alert: Alert, device_id: int) -> PlacedDelivery | None:
    """Find a device's delivery: in its reader's shard, or anywhere when the device is erased."""
    shard_n = _shard_of(session, alert, device_id)
    location = None if shard_n is None else _find(session, alert.id, device_id, shard_n)
    return location or _find(session, alert.id, device_id, None)


def _shard_of(session: Session, alert: Alert, device_id: int) -> int | None:
    """Return the shard of the device's reader; corrections keep the shard numbers of their root."""
    return session.execute(
        text(
            "SELECT s.n FROM device d JOIN shard s ON s.alert_id = :ranged "
            "AND s.lo <= d.reader_id AND d.reader_id < s.hi WHERE d.id = :device"
        ),
        {"ranged": alert.source_alert_id or alert.id, "device": device_id},
    ).scalar_one_or_none()


def _find(
    session: Session, alert_id: int, device_id: int, shard_n: int | None
) -> PlacedDelivery | None:
    row = session.execute(
        text(
            "SELECT shard_n, n, provider, at - 1 AS position, get_byte(states, at - 1) AS byte "
            "FROM batch, LATERAL array_position(device_ids, CAST(:device AS bigint)) AS at "
            "WHERE alert_id = :alert AND (CAST(:shard AS int) IS NULL OR shard_n = :shard) "
            "AND device_ids @> ARRAY[CAST(:device AS bigint)] LIMIT 1"
        ),
        {"alert": alert_id, "device": device_id, "shard": shard_n},
    ).one_or_none()
    if row is None:
        return None
    return PlacedDelivery(row.shard_n, row.n, row.position, row.provider, Delivery.unpack(row.byte))


_LAST_REASON = (
    "SELECT nullif(why, '') FROM retry WHERE alert_id = :alert AND shard_n = :shard_n "
    "AND n = :n AND position = :position"
)
_REASONS = {
    State.RETRYING: _LAST_REASON,
    State.CANCELLED: _LAST_REASON,
    State.EXPIRED: _LAST_REASON,
    State.BURIED: "SELECT concat_ws(': ', reason, nullif(answer, '')) FROM dead_letter "
    "WHERE alert_id = :alert AND shard_n = :shard_n AND n = :n AND replayed_at IS NULL "
    "AND positions @> ARRAY[CAST(:position AS smallint)] ORDER BY buried_at DESC LIMIT 1",
    State.GONE: "SELECT gone_why FROM device WHERE id = :device",
}
"""Where the reason of a state is kept. What ended by the alert's end keeps its last one."""


def _reason(session: Session, alert: Alert, device_id: int, location: PlacedDelivery) -> str | None:
    query = _REASONS.get(location.delivery.state)
    if query is None:
        return None
    values = {
        "alert": alert.id,
        "shard_n": location.shard_n,
        "n": location.n,
        "position": location.position,
        "device": device_id,
    }
    reason: str | None = session.execute(text(query), values).scalar_one_or_none()
    match location.delivery.state:
        case State.CANCELLED:
            end = alert.stop_reason
        case State.EXPIRED:
            end = f"The deadline passed at {alert.expires_at.isoformat()}."
        case _:
            return reason
    return f"{end or 'Cancelled.'} The last attempt: {reason}" if reason else end
