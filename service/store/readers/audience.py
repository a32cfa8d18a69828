"""The audience rule of `service.domain.audience` once more, in SQL, for any range of readers.

Everything here is judged at the one instant that is frozen with the alert, so a shard that is
fanned out again hours later holds the same readers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import Audience, LeftOut
from service.domain.subscription import Urgency
from service.domain.time_zone import local_time
from service.domain.topic import lineage, story_topic
from service.store.readers import left_out_rules
from service.store.readers.left_out_rules import REASONS, readers_sql
from service.store.schema import ID_LIMIT

EXACT_UP_TO = 200_000
SAMPLE = 64
"""An estimate counts one part in so many of the id space: ids are random, so it is fair."""

_MARGIN = 1.25

_ZONES_IN_USE = text("""
    WITH RECURSIVE zone AS (
        SELECT min(timezone) AS name FROM reader WHERE quiet_from <> quiet_to
        UNION ALL
        SELECT (SELECT min(timezone) FROM reader
            WHERE quiet_from <> quiet_to AND timezone > zone.name)
        FROM zone WHERE zone.name IS NOT NULL
    ) SELECT name FROM zone WHERE name IS NOT NULL""")
"""The zones whose clocks matter: one probe of the index `reader_zone` for each."""

_MUTED = """
muted AS (
    SELECT reader_id, topic_id FROM subscription
    WHERE reader_id >= :lo AND reader_id < :hi AND muted_until > :at
    AND (topic_id = ANY(:topic_ids) OR topic_id = :story_topic)
), silenced AS (
    SELECT reader_id FROM muted WHERE topic_id = :story_topic
), beaten AS (
    SELECT m.reader_id, t.above AS topic_id FROM muted m
    JOIN unnest(CAST(:below AS bigint[]), CAST(:above AS bigint[])) AS t(below, above)
        ON t.below = m.topic_id
)"""
"""Who muted the story, and whose mute of a topic beats their follow of one above it.

Both are asked for by equality alone: the planner can hash them, whatever it knows of the tables.
"""

_FOLLOWERS = """
follower AS (
    SELECT DISTINCT s.reader_id AS id FROM subscription s
    WHERE s.topic_id = ANY(:topic_ids) AND s.reader_id >= :lo AND s.reader_id < :hi
    AND s.least_urgency <= :urgency AND (s.muted_until IS NULL OR s.muted_until <= :at)
    AND NOT EXISTS (SELECT 1 FROM silenced x WHERE x.reader_id = s.reader_id)
    AND NOT EXISTS (
        SELECT 1 FROM beaten b WHERE b.reader_id = s.reader_id AND b.topic_id = s.topic_id)
)"""

_EVERYONE = """
follower AS (SELECT reader.id FROM reader WHERE reader.id >= :lo AND reader.id < :hi)"""

_ONE = """
follower AS (SELECT CAST(:reader_id AS bigint) AS id)"""

_DEVICES = """
{name} AS (
    SELECT{only} device.id, device.provider, device.reader_id{reason} FROM {readers}
    JOIN device ON device.reader_id = {readers}.id
    WHERE device.gone_at IS NULL AND device.provider = ANY(:providers)
    AND device.reader_id >= :lo AND device.reader_id < :hi{order}
)"""
_NOT_LEFT_OUT = """
device_in AS (SELECT id, provider, reader_id FROM candidate WHERE reason = 0)"""

_STALE = """, stale AS MATERIALIZED (
    SELECT id FROM device
    WHERE stale AND gone_at IS NULL AND reader_id >= :lo AND reader_id < :hi
)"""
_NOT_STALE = " WHERE NOT EXISTS (SELECT 1 FROM stale WHERE stale.id = counted.id)"

_ONLY = " DISTINCT ON (device.reader_id)"
_LAST_SEEN_FIRST = " ORDER BY device.reader_id, device.registered_at DESC, device.id"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenAudience:
    """An audience in numbers: topic ids, and pairs (topic, a topic above it) flattened.

    `unjudged` counts also those whom a rule leaves out. `one_device`: of each reader the device
    that was seen last. `languages` are those that the alert can be read in; None: any reader gets
    it. `frequency_cap` is as in `Audience`.
    """

    topic_ids: Sequence[int]
    above: Sequence[int]
    story_id: int
    urgency: Urgency
    everyone: bool
    at: datetime
    reader_id: int | None = None
    unjudged: bool = False
    one_device: bool = False
    languages: tuple[str, ...] | None = None
    frequency_cap: int | None = None

    @property
    def rules(self) -> list[LeftOut]:
        """The rules that can leave a reader out."""
        if self.reader_id is not None or self.unjudged:
            return []
        applies = {
            LeftOut.QUIET_HOURS: self.urgency is not Urgency.BREAKING,
            LeftOut.LANGUAGE: self.languages is not None,
            LeftOut.FREQUENCY: self.frequency_cap is not None
            and self.urgency is not Urgency.BREAKING,
        }
        return [reason for reason in REASONS if applies[reason]]


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

    @property
    def addressed(self) -> int:
        """All devices of those whom the alert is addressed to."""
        return self.devices + sum(self.left_out.values())

    def times(self, parts: int) -> "Estimate":
        """Return what a sample of one part in so many stands for."""
        by_app = {name: n * parts for name, n in self.by_app.items()}
        left_out = {reason: n * parts for reason, n in self.left_out.items()}
        return Estimate(sum(by_app.values()), by_app, exact=False, left_out=left_out)


def freeze(session: Session, story_id: int, audience: Audience) -> FrozenAudience:
    """Turn an audience's paths into ids; paths nobody could follow have none and fall away."""
    paths = sorted(audience.topics - {story_topic(story_id)})
    rows = session.execute(
        text("SELECT path, id FROM topic WHERE path = ANY(:paths)"), {"paths": paths}
    )
    ids = {str(path): int(topic_id) for path, topic_id in rows}
    own = [story_id] if audience.story_topic in audience.topics else []
    return FrozenAudience(
        topic_ids=[*ids.values(), *own],
        above=list(_pairs(ids)),
        story_id=story_id,
        urgency=audience.urgency,
        everyone=audience.everyone,
        at=audience.moment,
        reader_id=audience.reader_id,
        languages=None if audience.languages is None else tuple(sorted(audience.languages)),
        frequency_cap=audience.frequency_cap,
    )


def frozen_columns(audience: FrozenAudience | None) -> dict[str, Any]:
    """Return what an alert's row keeps of an audience; None is that of an earlier alert."""
    if audience is None:
        return {"topic_ids": [], "above": [], "languages": None, "frequency_cap": None}
    return {
        "topic_ids": list(audience.topic_ids),
        "above": list(audience.above),
        "languages": None if audience.languages is None else list(audience.languages),
        "frequency_cap": audience.frequency_cap,
    }


def _pairs(ids: dict[str, int]) -> Iterable[int]:
    for path, topic_id in ids.items():
        for ancestor in lineage(path)[1:]:
            if ancestor in ids:
                yield from (topic_id, ids[ancestor])


def devices_sql(audience: FrozenAudience) -> str:
    """Return the CTEs that end in `device_in(id, provider, reader_id)`; `parameters` go with them.

    Where the audience has `rules`, `candidate(id, provider, reader_id, reason)` holds those left
    out as well.
    """
    if audience.reader_id is not None:
        followers = _ONE
    else:
        followers = _EVERYONE if audience.everyone else f"{_MUTED}, {_FOLLOWERS}"
    only, order = (_ONLY, _LAST_SEEN_FIRST) if audience.one_device else ("", "")
    if not audience.rules:
        devices = _DEVICES.format(
            name="device_in", readers="follower", reason="", only=only, order=order
        )
        return f"WITH {followers}, {devices}"
    candidates = _DEVICES.format(
        name="candidate", readers="judged", reason=", judged.reason", only=only, order=order
    )
    parts = [followers, *readers_sql(audience.rules), candidates, _NOT_LEFT_OUT]
    return "WITH " + ", ".join(parts)


def parameters(
    session: Session, audience: FrozenAudience, lo: int, hi: int, providers: Sequence[str]
) -> dict[str, Any]:
    """Return the values that `devices_sql` needs for the readers [lo, hi)."""
    zones = _local_times(session, audience)
    return {
        "zone_names": list(zones),
        "local_times": list(zones.values()),
        "topic_ids": list(audience.topic_ids),
        "below": list(audience.above[::2]),
        "above": list(audience.above[1::2]),
        "story_topic": audience.story_id,
        "urgency": audience.urgency.rank,
        "at": audience.at,
        "reader_id": audience.reader_id,
        "lo": lo,
        "hi": hi,
        "providers": list(providers),
        "languages": list(audience.languages or ()),
        "frequency_cap": audience.frequency_cap,
        "most_rows": left_out_rules.MOST_ROWS_READ,
    }


def _local_times(session: Session, audience: FrozenAudience) -> dict[str, time]:
    """Return the local time of each zone that readers with quiet hours live in."""
    if LeftOut.QUIET_HOURS not in audience.rules:
        return {}
    names = session.execute(_ZONES_IN_USE).scalars()
    return {name: local_time(name, audience.at) for name in names}


def estimate(session: Session, audience: FrozenAudience, providers: Sequence[str]) -> Estimate:
    """Count the audience: exactly up to 200,000 devices, beyond that from one id in 64.

    Stale devices are not counted, although an alert tries them too.
    """
    sample = _count(session, audience, ID_LIMIT // SAMPLE, providers)
    if sum(sample.by_app.values()) * SAMPLE > EXACT_UP_TO * _MARGIN:
        return sample.times(SAMPLE)
    return _count(session, audience, ID_LIMIT, providers)


def rough_size(session: Session, audience: FrozenAudience, providers: Sequence[str]) -> int:
    """Return about how many devices there are, from one id in 256: enough to size shards.

    The rules would cost the first push two milliseconds, and shards may as well be smaller.
    """
    parts = SAMPLE * 4
    sample = _count(session, replace(audience, unjudged=True), ID_LIMIT // parts, providers)
    return sample.devices * parts


def _count(
    session: Session, audience: FrozenAudience, hi: int, providers: Sequence[str]
) -> Estimate:
    source, reason = ("candidate", "reason") if audience.rules else ("device_in", "0")
    stale, not_stale = (_STALE, _NOT_STALE) if not audience.unjudged else ("", "")
    rows = session.execute(
        text(
            f"{devices_sql(audience)}{stale} SELECT {reason} AS reason, provider, count(*) AS n "
            f"FROM {source} AS counted{not_stale} GROUP BY 1, 2"
        ),
        parameters(session, audience, 0, hi, providers),
    )
    by_app: dict[str, int] = {}
    left_out = dict.fromkeys(audience.rules, 0)
    for row in rows:
        if row.reason:
            left_out[REASONS[row.reason - 1]] += row.n
        else:
            by_app[row.provider] = row.n
    return Estimate(sum(by_app.values()), by_app, exact=True, left_out=left_out)
