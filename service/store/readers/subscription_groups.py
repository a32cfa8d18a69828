"""The table `subscription` for many readers at once, each known by the hash of its token."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlmodel import Session

from service.domain.subscription import Subscription, Urgency
from service.store.driver_statement import DriverStatement
from service.store.results.departures import count_departures

_FOLLOW = """
    WITH call AS (
        SELECT * FROM unnest(CAST(:hashes AS bytea[]), CAST(:paths AS text[]),
            CAST(:ranks AS smallint[]), CAST(:mutes AS timestamptz[]))
            WITH ORDINALITY AS call(token_hash, path, least_urgency, muted_until, n)),
    named AS MATERIALIZED (
        SELECT call.n, reader.id AS reader_id, topic.id AS topic_id, call.least_urgency,
            call.muted_until
        FROM call JOIN reader USING (token_hash) JOIN topic ON topic.path = call.path
        WHERE (SELECT count(*) FROM subscription WHERE reader_id = reader.id) < :few_enough),
    written AS (
        INSERT INTO subscription (reader_id, topic_id, least_urgency, muted_until)
        SELECT reader_id, topic_id, least_urgency, muted_until FROM named
        ORDER BY reader_id, topic_id
        ON CONFLICT (reader_id, topic_id) DO UPDATE
            SET least_urgency = excluded.least_urgency, muted_until = excluded.muted_until
        RETURNING reader_id, topic_id, xmax = 0 AS is_new){departed}
    SELECT n, is_new FROM named JOIN written USING (reader_id, topic_id)"""
_MUTED = f""",
    muted AS (
        SELECT named.topic_id FROM named LEFT JOIN subscription AS old USING (reader_id, topic_id)
        WHERE named.muted_until > now() AND (old.muted_until IS NULL OR old.muted_until <= now())),
    departed AS ({count_departures("mutes", "muted")})"""
_FOLLOW_ONLY = DriverStatement(_FOLLOW.format(departed=""))
_FOLLOW_OR_MUTE = DriverStatement(_FOLLOW.format(departed=_MUTED))

_UNFOLLOW = DriverStatement(f"""
    WITH call AS (
        SELECT * FROM unnest(CAST(:hashes AS bytea[]), CAST(:paths AS text[]))
            WITH ORDINALITY AS call(token_hash, path, n)),
    named AS MATERIALIZED (
        SELECT call.n, reader_id, topic_id
        FROM call JOIN reader USING (token_hash) JOIN topic ON topic.path = call.path
        JOIN subscription ON reader_id = reader.id AND topic_id = topic.id
        ORDER BY reader_id, topic_id FOR UPDATE OF subscription),
    removed AS (
        DELETE FROM subscription USING named
        WHERE subscription.reader_id = named.reader_id AND subscription.topic_id = named.topic_id
        RETURNING subscription.topic_id),
    departed AS ({count_departures("unfollows", "removed")})
    SELECT n FROM named""")

_FIRST_PAGES = DriverStatement("""
    SELECT call.n, page.path, page.least_urgency, page.muted_until
    FROM unnest(CAST(:hashes AS bytea[])) WITH ORDINALITY AS call(token_hash, n)
    JOIN reader USING (token_hash)
    LEFT JOIN LATERAL (
        SELECT topic.path, least_urgency, muted_until
        FROM subscription JOIN topic ON topic.id = topic_id
        WHERE reader_id = reader.id
        ORDER BY topic.path COLLATE "C" LIMIT :limit) AS page ON true
    ORDER BY call.n, page.path COLLATE "C" """)


@dataclass(frozen=True, slots=True)
class Follow:
    """A reader, by the hash of its token, and what it follows from now on."""

    token_hash: bytes
    subscription: Subscription


def follow_all(session: Session, follows: Sequence[Follow], few_enough: int) -> list[bool | None]:
    """Let readers who follow fewer than so many topics follow another; say whether that is new.

    None where nothing was written: an unknown reader or topic, or a reader who follows more. No
    reader may occur twice.
    """
    mutes = [one.subscription.muted_until for one in follows]
    values = {
        "hashes": [one.token_hash for one in follows],
        "paths": [one.subscription.topic for one in follows],
        "ranks": [one.subscription.least_urgency.rank for one in follows],
        "mutes": mutes,
        "few_enough": few_enough,
    }
    statement = _FOLLOW_OR_MUTE if any(mutes) else _FOLLOW_ONLY
    is_new: dict[int, bool] = {row.n: row.is_new for row in statement.run(session, values)}
    return [is_new.get(n) for n in range(1, len(follows) + 1)]


def unfollow_all(session: Session, pairs: Sequence[tuple[bytes, str]]) -> list[bool | None]:
    """End subscriptions by reader and topic; None where there was none."""
    values = {"hashes": [digest for digest, _ in pairs], "paths": [path for _, path in pairs]}
    numbers = {row.n for row in _UNFOLLOW.run(session, values)}
    return [True if n in numbers else None for n in range(1, len(pairs) + 1)]


def first_pages(
    session: Session, hashes: Sequence[bytes], limit: int
) -> list[list[Subscription] | None]:
    """Return up to `limit` subscriptions of each reader, by path; None for an unknown reader."""
    rows = _FIRST_PAGES.run(session, {"hashes": list(hashes), "limit": limit})
    pages = {
        n: [_subscription(row) for row in group if row.path is not None]
        for n, group in groupby(rows, attrgetter("n"))
    }
    return [pages.get(n) for n in range(1, len(hashes) + 1)]


def _subscription(row: Any) -> Subscription:
    return Subscription(
        topic=row.path,
        least_urgency=Urgency.of_rank(row.least_urgency),
        muted_until=row.muted_until,
    )
