"""How many devices an audience has: counted, or estimated from a part of the id space."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import LeftOut
from service.domain.pace.local_release import Release
from service.store.readers.audience import FrozenAudience, devices_sql, parameters
from service.store.readers.left_out_rules import REASONS
from service.store.schema import ID_LIMIT

EXACT_UP_TO = 200_000
SAMPLE = 64
"""An estimate counts one part in so many of the id space: ids are random, so it is fair."""

_MARGIN = 1.25

_STALE = """, stale AS MATERIALIZED (
    SELECT id FROM device
    WHERE stale AND gone_at IS NULL AND reader_id >= :lo AND reader_id < :hi
)"""
_NOT_STALE = " WHERE NOT EXISTS (SELECT 1 FROM stale WHERE stale.id = counted.id)"


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many devices an audience has; `exact` when each was counted.

    `left_out` says how many more there would be but for the rules that leave readers out.
    """

    devices: int
    by_app: dict[str, int]
    exact: bool
    by_provider: dict[str, int] = field(default_factory=dict)
    left_out: dict[LeftOut, int] = field(default_factory=dict)
    by_zone: dict[str, int] = field(default_factory=dict)
    """Devices by their readers' time zone, of an alert that leaves at a local time."""
    releases: list[Release] = field(default_factory=list)
    """When that leaves where."""

    @property
    def addressed(self) -> int:
        """All devices of those whom the alert is addressed to."""
        return self.devices + sum(self.left_out.values())

    def times(self, parts: int) -> "Estimate":
        """Return what a sample of one part in so many stands for."""
        by_app = {name: n * parts for name, n in self.by_app.items()}
        left_out = {reason: n * parts for reason, n in self.left_out.items()}
        by_zone = {name: n * parts for name, n in self.by_zone.items()}
        devices = sum(by_app.values())
        return Estimate(devices, by_app, exact=False, left_out=left_out, by_zone=by_zone)


def estimate(session: Session, audience: FrozenAudience, providers: Sequence[str]) -> Estimate:
    """Count the audience: exactly up to 200,000 devices, beyond that from one id in 64.

    Stale devices are not counted, although an alert tries them too.
    """
    sample = count_devices(session, audience, ID_LIMIT // SAMPLE, providers)
    if sum(sample.by_app.values()) * SAMPLE > EXACT_UP_TO * _MARGIN:
        return sample.times(SAMPLE)
    return count_devices(session, audience, ID_LIMIT, providers)


def rough_size(session: Session, audience: FrozenAudience, providers: Sequence[str]) -> int:
    """Return about how many devices there are, from one id in 256: enough to size shards.

    The rules would cost the first push two milliseconds, and shards may as well be smaller.
    """
    parts = SAMPLE * 4
    sample = count_devices(session, replace(audience, unjudged=True), ID_LIMIT // parts, providers)
    return sample.devices * parts


def count_devices(
    session: Session, audience: FrozenAudience, hi: int, providers: Sequence[str]
) -> Estimate:
    """Count the devices of the readers below `hi`."""
    source, reason = ("candidate", "reason") if audience.rules else ("device_in", "0")
    zone = "zone" if audience.local_release else "''"
    stale, not_stale = (_STALE, _NOT_STALE) if not audience.unjudged else ("", "")
    rows = session.execute(
        text(
            f"{devices_sql(audience)}{stale} SELECT {reason} AS reason, provider, {zone} AS zone, "
            f"count(*) AS n FROM {source} AS counted{not_stale} GROUP BY 1, 2, 3"
        ),
        parameters(session, audience, 0, hi, providers),
    )
    by_app, by_zone = Counter[str](), Counter[str]()
    left_out = dict.fromkeys(audience.rules, 0)
    for row in rows:
        if row.reason:
            left_out[REASONS[row.reason - 1]] += row.n
        else:
            by_app[row.provider] += row.n
            by_zone[row.zone] += row.n
    by_zone = by_zone if audience.local_release else Counter()
    devices = by_app.total()
    return Estimate(devices, dict(by_app), exact=True, left_out=left_out, by_zone=dict(by_zone))
