"""The tables `source` and `source_delivery`: systems that send stories, and what they sent."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlmodel import Session, SQLModel

from service.store import paging
from service.store.schema import FeedRow, SourceDeliveryRow, SourceRow, new_id

_SOURCE = SQLModel.metadata.tables[SourceRow.__tablename__]
_S = _SOURCE.c
_DELIVERY = SQLModel.metadata.tables[SourceDeliveryRow.__tablename__]
_D = _DELIVERY.c
_F = SQLModel.metadata.tables[FeedRow.__tablename__].c
DELIVERIES_KEPT = timedelta(days=7)
MOST_DELIVERIES = 500
"""Kept of one source; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A system that sends stories, and what it may do. Both secrets are sealed.

    `categories` maps the sender's words, by their search keys, to topic paths.
    """

    id: int
    kind: str
    name: str
    signature: str
    secret: bytes | None = None
    topics: tuple[str, ...] = ()
    language: str = "en"
    publish: bool = False
    paused: bool = False
    field_map: dict[str, Any] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    alert: str = "never"
    alert_rule: dict[str, Any] = field(default_factory=dict)
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDelivery:
    """One delivery: how often it came, what became of it last, and what was wrong then."""

    id: int
    times: int
    outcome: str
    error: str
    received_at: datetime
    body: bytes = b""


def add(session: Session, source: Source) -> bool:
    """Keep a new source; False when its name is taken."""
    row = session.execute(
        insert(_SOURCE).values(_values(source)).on_conflict_do_nothing().returning(_S.id)
    ).first()
    return row is not None


def save(session: Session, source: Source) -> None:
    """Keep a source as it stands now."""
    session.execute(update(_SOURCE).where(_S.id == source.id).values(_values(source)))


def remove(session: Session, source_id: int) -> None:
    """Remove a source and its deliveries; its stories stay."""
    session.execute(delete(_SOURCE).where(_S.id == source_id))


def lock(session: Session, source_id: int) -> Source | None:
    """Return a source that nobody else changes before the transaction ends."""
    row = session.execute(select(_SOURCE).where(_S.id == source_id).with_for_update()).first()
    return None if row is None else _source(row)


def get(session: Session, source_id: int) -> Source | None:
    """Return the source with this id."""
    row = session.execute(select(_SOURCE).where(_S.id == source_id)).first()
    return None if row is None else _source(row)


def by_name(session: Session, name: str) -> Source | None:
    """Return the source with this name."""
    row = session.execute(select(_SOURCE).where(_S.name == name)).first()
    return None if row is None else _source(row)


def page(session: Session, cursor: str | None, limit: int) -> paging.Page[Source]:
    """Return sources by name."""
    query = select(_SOURCE).order_by(_S.name).limit(limit + 1)
    after = paging.read_text(cursor)
    if after is not None:
        query = query.where(_S.name > after)
    rows = [_source(row) for row in session.execute(query)]
    return paging.cut(rows, limit, lambda last: paging.after_text(last.name))


def ids_with_secrets(session: Session) -> list[int]:
    """Return the ids of the sources that have a sealed secret, or whose feed has one."""
    hub = exists().where(_F.source_id == _S.id, _F.hub_secret.is_not(None))
    query = select(_S.id).where(_S.secret.is_not(None) | _S.old_secret.is_not(None) | hub)
    return list(session.execute(query.order_by(_S.id)).scalars())


def lock_delivery(session: Session, source_id: int, key: str, body: bytes) -> SourceDelivery:
    """Keep a delivery, or count it again; returns it as it was before, locked."""
    session.execute(
        insert(_DELIVERY)
        .values(id=new_id(), source_id=source_id, key=key, body=body, times=0, outcome="", error="")
        .on_conflict_do_nothing()
    )
    query = select(_DELIVERY).where(_D.source_id == source_id, _D.key == key).with_for_update()
    return _delivery(session.execute(query).one())


def count_delivery(session: Session, delivery_id: int, outcome: str, error: str) -> None:
    """Note what became of a delivery this time."""
    session.execute(
        update(_DELIVERY)
        .where(_D.id == delivery_id)
        .values(times=_D.times + 1, outcome=outcome, error=error, received_at=func.now())
    )


def get_delivery(session: Session, source_id: int, delivery_id: int) -> SourceDelivery | None:
    """Return one delivery of a source with its body, locked."""
    query = select(_DELIVERY).where(_D.source_id == source_id, _D.id == delivery_id)
    row = session.execute(query.with_for_update()).first()
    return None if row is None else _delivery(row)


def deliveries(
    session: Session, source_id: int, cursor: str | None, limit: int
) -> paging.Page[SourceDelivery]:
    """Return a source's deliveries, the latest first, without their bodies."""
    columns = (_D.id, _D.times, _D.outcome, _D.error, _D.received_at)
    order = (_D.received_at.desc(), _D.id.desc())
    query = select(*columns).where(_D.source_id == source_id).order_by(*order).limit(limit + 1)
    after = paging.read_moment(cursor)
    if after is not None:
        moment, last_id = after
        before = (_D.received_at < moment) | ((_D.received_at == moment) & (_D.id < last_id))
        query = query.where(before)
    rows = [_delivery(row) for row in session.execute(query)]
    return paging.cut(rows, limit, lambda last: paging.after_moment(last.received_at, last.id))


def last_deliveries(session: Session, source_ids: Iterable[int]) -> dict[int, SourceDelivery]:
    """Return the last delivery of each source, without its body."""
    columns = (_D.id, _D.times, _D.outcome, _D.error, _D.received_at, _D.source_id)
    rows = session.execute(
        select(*columns)
        .where(_D.source_id.in_(list(source_ids)))
        .ext(distinct_on(_D.source_id))
        .order_by(_D.source_id, _D.received_at.desc())
    )
    return {row.source_id: _delivery(row) for row in rows}


def drop_surplus(session: Session, source_id: int, most: int = MOST_DELIVERIES) -> None:
    """Keep the latest deliveries of a source only."""
    surplus = (
        select(_D.id).where(_D.source_id == source_id).order_by(_D.received_at.desc()).offset(most)
    )
    session.execute(delete(_DELIVERY).where(_D.id.in_(surplus)))


def forget_old_deliveries(session: Session) -> None:
    """Forget deliveries after seven days."""
    session.execute(delete(_DELIVERY).where(_D.received_at < func.now() - DELIVERIES_KEPT))


def _values(source: Source) -> dict[str, Any]:
    names = Source.__dataclass_fields__
    return {name: getattr(source, name) for name in names} | {"topics": list(source.topics)}


def _source(row: Row[Any]) -> Source:
    values = {name: getattr(row, name) for name in Source.__dataclass_fields__}
    return Source(**values | {"topics": tuple(row.topics)})


def _delivery(row: Row[Any]) -> SourceDelivery:
    return SourceDelivery(
        id=row.id,
        times=row.times,
        outcome=row.outcome,
        error=row.error,
        received_at=row.received_at,
        body=getattr(row, "body", b""),
    )
