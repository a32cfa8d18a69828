"""The audience rule of `service.domain.audience` once more, in SQL, for any range of readers.

Everything here is judged at the one instant that is frozen with the alert, so a shard that is
fanned out again hours later holds the same readers.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.audience import Audience, LeftOut
from service.domain.pace.local_release import LocalRelease
from service.domain.subscription import Urgency
from service.domain.time_zone import local_time
from service.domain.topic import lineage, story_topic
from service.store.readers import left_out_rules, zone_releases
from service.store.readers.left_out_rules import REASONS, SendsInRange, UnreadSets, readers_sql

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
    WHERE reader_id >= :lo AND reader_id < :hi AND muted_until > {muted_at}
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
    AND s.least_urgency <= :urgency AND (s.muted_until IS NULL OR s.muted_until <= {follows_at})
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
    SELECT{only} device.id, device.provider, device.reader_id{reason}{columns} FROM {readers}
    JOIN device ON device.reader_id = {readers}.id{joins}
    WHERE device.gone_at IS NULL AND device.provider = ANY(:providers)
    AND device.reader_id >= :lo AND device.reader_id < :hi{order}
)"""
_NOT_LEFT_OUT = """
device_in AS (SELECT id, provider, reader_id{columns} FROM candidate WHERE reason = 0)"""

_ONLY = " DISTINCT ON (device.reader_id)"
_LAST_SEEN_FIRST = " ORDER BY device.reader_id, device.registered_at DESC, device.id"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenAudience:
    """An audience in numbers: topic ids, and pairs (topic, a topic above it) flattened.

    `unjudged` counts also those whom a rule leaves out. `one_device`: of each reader the device
    that was seen last. `languages` are those that the alert can be read in; None: any reader gets
    it. `frequency_cap` and `local_release` are as in `Audience`. Two are looked up for a range of
    readers, None until then: `sends`, what counts against the cap, and `unread_sets`, who
    reads none of the alert's languages.
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
    sends: SendsInRange | None = None
    unread_sets: UnreadSets | None = None
    local_release: LocalRelease | None = None

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
        local_release=audience.local_release,
    )


def frozen_columns(audience: FrozenAudience | None) -> dict[str, Any]:
    """Return what an alert's row keeps of an audience; None is that of an earlier alert."""
    if audience is None:
        none = dict.fromkeys(("languages", "frequency_cap", "local_release"))
        return {"topic_ids": [], "above": [], **none}
    local = audience.local_release
    return {
        "topic_ids": list(audience.topic_ids),
        "above": list(audience.above),
        "languages": None if audience.languages is None else list(audience.languages),
        "frequency_cap": audience.frequency_cap,
        "local_release": None if local is None else json.dumps(local.to_json()),
    }


def _pairs(ids: dict[str, int]) -> Iterable[int]:
    for path, topic_id in ids.items():
        for ancestor in lineage(path)[1:]:
            if ancestor in ids:
                yield from (topic_id, ids[ancestor])


def devices_sql(audience: FrozenAudience) -> str:
    """Return the CTEs that end in `device_in(id, provider, reader_id)`; `parameters` go with them.

    Where the audience has `rules`, `candidate(id, provider, reader_id, reason)` holds those left
    out as well. With a local release both have also `zone` and `release_at`.
    """
    local = audience.local_release is not None
    columns = ", zone, release_at" if local else ""
    of_device = {
        "columns": zone_releases.DEVICE_COLUMNS if local else "",
        "joins": zone_releases.DEVICE_JOINS if local else "",
    }
    if audience.reader_id is not None:
        followers = _ONE
    else:
        followers = _EVERYONE if audience.everyone else _followers_sql(local=local)
    if local:
        followers = f"{zone_releases.CLOCK}, {followers}"
    only, order = (_ONLY, _LAST_SEEN_FIRST) if audience.one_device else ("", "")
    if not audience.rules:
        devices = _DEVICES.format(
            name="device_in", readers="follower", reason="", only=only, order=order, **of_device
        )
        return f"WITH {followers}, {devices}"
    reason = ", judged.reason"
    candidates = _DEVICES.format(
        name="candidate", readers="judged", reason=reason, only=only, order=order, **of_device
    )
    not_left_out = _NOT_LEFT_OUT.format(columns=columns)
    return "WITH " + ", ".join(
        [
            followers,
            *readers_sql(
                audience.rules, all_sends=audience.sends is not None and audience.sends.few
            ),
            candidates,
            not_left_out,
        ]
    )


def _followers_sql(*, local: bool) -> str:
    """Return the CTE of followers, with their mutes judged by when the alert leaves for them."""
    muted_at = zone_releases.release_of("subscription.reader_id") if local else ":at"
    follows_at = zone_releases.release_of("s.reader_id") if local else ":at"
    return f"{_MUTED.format(muted_at=muted_at)}, {_FOLLOWERS.format(follows_at=follows_at)}"


def without_needless_rules(
    session: Session, audience: FrozenAudience, alert_id: int, lo: int, hi: int
) -> FrozenAudience:
    """Return the audience without rules that can leave out nobody of [lo, hi).

    That is languages where everybody reads one of the alert's, and the cap where nobody can have
    had enough alerts. Else the cheaper way to count them is chosen.
    """
    if LeftOut.LANGUAGE in audience.rules:
        sets = left_out_rules.unread_sets(session, audience.languages or ())
        languages = None if sets.leave_out_nobody else audience.languages
        audience = replace(audience, languages=languages, unread_sets=sets)
    cap = audience.frequency_cap
    if cap is None or LeftOut.FREQUENCY not in audience.rules:
        return audience
    sends = left_out_rules.sends_in_range(session, alert_id, cap, audience.at, lo, hi)
    return replace(audience, sends=sends, frequency_cap=cap if sends.enough else None)


def parameters(
    session: Session, audience: FrozenAudience, lo: int, hi: int, providers: Sequence[str]
) -> dict[str, Any]:
    """Return the values that `devices_sql` needs for the readers [lo, hi)."""
    releases = _releases(session, audience)
    sends, sets = _sends(session, audience, lo, hi), _unread(session, audience)
    return {
        "zone_names": list(releases),
        "releases": list(releases.values()),
        "local_times": [local_time(name, moment) for name, moment in releases.items()],
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
        "unread": list(sets.sets),
        "too_many_sets": sets.too_many,
        "frequency_cap": audience.frequency_cap,
        "capped": [] if sends is None else sends.alerts,
        "firsts": [] if sends is None else sends.firsts,
        "least_first": min([lo, *([] if sends is None else sends.firsts)]),
        "probes_a_row": left_out_rules.PROBES_A_ROW,
    }


def still_addressed(
    session: Session, audience: FrozenAudience, reader_ids: Sequence[int], lo: int, hi: int
) -> list[int]:
    """Return those of some readers within [lo, hi) whom the alert is addressed to by now."""
    followers = _EVERYONE if audience.everyone else _followers_sql(local=False)
    query = text(f"WITH {followers} SELECT id FROM follower WHERE id = ANY(:reader_ids)")
    values = parameters(session, replace(audience, unjudged=True), lo, hi, ())
    return list(session.execute(query, {**values, "reader_ids": list(reader_ids)}).scalars())


def _unread(session: Session, audience: FrozenAudience) -> UnreadSets:
    if LeftOut.LANGUAGE not in audience.rules:
        return UnreadSets()
    if audience.unread_sets is not None:
        return audience.unread_sets
    return left_out_rules.unread_sets(session, audience.languages or ())


def _sends(session: Session, audience: FrozenAudience, lo: int, hi: int) -> SendsInRange | None:
    cap = audience.frequency_cap
    if audience.sends is not None or cap is None or LeftOut.FREQUENCY not in audience.rules:
        return audience.sends
    return left_out_rules.sends_in_range(session, None, cap, audience.at, lo, hi)


def _releases(session: Session, audience: FrozenAudience) -> dict[str, datetime]:
    """Return when the alert leaves in each zone that matters.

    Where it leaves at once, only those matter that readers with quiet hours live in.
    """
    if audience.local_release is not None:
        return zone_releases.releases(session, audience.local_release, audience.at)
    if LeftOut.QUIET_HOURS not in audience.rules:
        return {}
    return dict.fromkeys(session.execute(_ZONES_IN_USE).scalars(), audience.at)
