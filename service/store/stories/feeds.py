"""The table `feed`: where sources' feeds are, when each is asked next, and how it went."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlalchemy import BigInteger, Integer, Row, Text, column, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel

from service.store.schema import FeedRow, SourceRow

log = structlog.get_logger()

_FEED = SQLModel.metadata.tables[FeedRow.__tablename__]
_F = _FEED.c
_S = SQLModel.metadata.tables[SourceRow.__tablename__].c
POLL_LEASE_S = 120
"""A poll that has not ended after so long is taken for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFeed:
    """A feed with what its next poll needs, and how the last one went."""

    source_id: int
    address: str
    host: str
    etag: str = ""
    last_modified: str = ""
    body_hash: str = ""
    minutes_between_polls: int | None = None
    poll_at: datetime | None = None
    failures: int = 0
    error: str = ""
    polled_at: datetime | None = None
    changed_at: datetime | None = None
    hub: str = ""
    hub_topic: str = ""
    hub_token: str | None = None
    hub_secret: bytes | None = None
    hub_asked_at: datetime | None = None
    hub_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """How a poll went: what the row keeps of it, and where the feed has moved for good."""

    source_id: int
    wait_s: int
    failures: int = 0
    error: str = ""
    address: str = ""


def add(session: Session, source_id: int, address: str, host: str) -> bool:
    """Keep the feed of a new source; False when another source has its address."""
    row = session.execute(
        upsert(_FEED)
        .values(source_id=source_id, address=address, host=host)
        .on_conflict_do_nothing()
        .returning(_F.source_id)
    ).first()
    return row is not None


def known_addresses(session: Session, addresses: Collection[str]) -> set[str]:
    """Return those of the addresses that a source has."""
    return set(session.execute(select(_F.address).where(_F.address.in_(addresses))).scalars())


def get(session: Session, source_id: int) -> StoredFeed | None:
    """Return the feed of a source."""
    row = session.execute(select(_FEED).where(_F.source_id == source_id)).first()
    return None if row is None else _feed(row)


def by_token(session: Session, token: str) -> StoredFeed | None:
    """Return the feed whose subscription at a hub has this token."""
    row = session.execute(select(_FEED).where(_F.hub_token == token)).first()
    return None if row is None else _feed(row)


def of_sources(session: Session, source_ids: Collection[int]) -> dict[int, StoredFeed]:
    """Return the feeds of several sources by the sources' ids."""
    rows = session.execute(select(_FEED).where(_F.source_id.in_(list(source_ids))))
    return {row.source_id: _feed(row) for row in rows}


def claim_due(session: Session, busy_hosts: Collection[str], limit: int) -> list[StoredFeed]:
    """Take feeds that are due for one poll each, at most one of a host, the longest due first.

    Nobody else gets them before the poll's lease ends.
    """
    due = (
        select(_F.source_id, _F.poll_at)
        .join(SourceRow, _S.id == _F.source_id)
        .where(_F.poll_at <= func.now(), ~_S.paused, _F.host.not_in(list(busy_hosts)))
        .ext(distinct_on(_F.host))
        .order_by(_F.host, _F.poll_at)
        .subquery()
    )
    first = select(due.c.source_id).order_by(due.c.poll_at).limit(limit)
    free_feeds = (
        select(_F.source_id)
        .where(_F.source_id.in_(first), _F.poll_at <= func.now())
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(_FEED)
        .where(_F.source_id.in_(free_feeds))
        .values(poll_at=_in_seconds(POLL_LEASE_S))
        .returning(*_FEED.c)
    )
    return [_feed(row) for row in session.execute(statement)]


def claim(session: Session, source_id: int) -> StoredFeed | None:
    """Take one feed for a poll now, because a person wants it.

    A poll that runs already does no harm: its stories are taken in once.
    """
    row = session.execute(
        update(_FEED)
        .where(_F.source_id == source_id)
        .values(poll_at=_in_seconds(POLL_LEASE_S))
        .returning(*_FEED.c)
    ).first()
    return None if row is None else _feed(row)


def save_results(session: Session, results: Sequence[PollResult]) -> None:
    """Note how polls went that brought nothing new, all in one statement."""
    columns: tuple[tuple[str, Any, list[Any]], ...] = (
        ("source_id", BigInteger(), [each.source_id for each in results]),
        ("wait_s", Integer(), [each.wait_s for each in results]),
        ("failures", Integer(), [each.failures for each in results]),
        ("error", Text(), [each.error for each in results]),
    )
    arrays = [literal(numbers, ARRAY(kind)) for _, kind, numbers in columns]
    names = [column(name, kind) for name, kind, _ in columns]
    result = func.unnest(*arrays).table_valued(*names, name="result").render_derived().c
    session.execute(
        update(_FEED)
        .where(_F.source_id == result.source_id)
        .values(
            poll_at=func.now() + result.wait_s * literal(timedelta(seconds=1)),
            failures=result.failures,
            error=result.error,
            polled_at=func.now(),
        )
    )
    for each in results:
        if each.address:
            _move(session, each.source_id, each.address)


def _move(session: Session, source_id: int, address: str) -> None:
    """Keep where a feed has moved for good, unless another source has that address."""
    host = (urlsplit(address).hostname or "").lower()
    move = update(_FEED).where(_F.source_id == source_id, _F.address != address)
    try:
        with session.begin_nested():
            session.execute(move.values(address=address, host=host))
    except IntegrityError:
        log.info("a feed has moved to one that another source has", address=address)


def save_change(session: Session, source_id: int, **members: Any) -> None:
    """Note what a poll with a new body has learnt: validators, hash, address, hub."""
    session.execute(
        update(_FEED).where(_F.source_id == source_id).values(changed_at=func.now(), **members)
    )


def save_subscription(session: Session, source_id: int, **members: Any) -> None:
    """Note how the subscription at a hub stands."""
    session.execute(update(_FEED).where(_F.source_id == source_id).values(**members))


def subscriptions_to_renew(session: Session, margin_s: int, limit: int) -> list[StoredFeed]:
    """Return feeds whose hub is to be asked: never asked, or its lease ends soon.

    A hub that was asked is left alone for an hour, whatever it did.
    """
    rows = session.execute(
        select(_FEED)
        .join(SourceRow, _S.id == _F.source_id)
        .where(_F.hub != literal(""), ~_S.paused)
        .where(_F.hub_asked_at.is_(None) | (_F.hub_asked_at < _in_seconds(-3600)))
        .where(_F.hub_until.is_(None) | (_F.hub_until < _in_seconds(margin_s)))
        .limit(limit)
    )
    return [_feed(row) for row in rows]


def _in_seconds(seconds: int) -> Any:
    return func.now() + timedelta(seconds=seconds)


def _feed(row: Row[Any]) -> StoredFeed:
    return StoredFeed(**{name: getattr(row, name) for name in StoredFeed.__dataclass_fields__})
