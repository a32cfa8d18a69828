"""The table `audit`: who did what to what, and when. Nothing here changes or deletes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, func, insert, literal, select, tuple_, union_all
from sqlmodel import Session, SQLModel

from service.store import paging
from service.store.schema import ApiKeyRow, AuditRow, StaffRow, new_id

_AUDIT = SQLModel.metadata.tables[AuditRow.__tablename__]
_A = _AUDIT.c
_STAFF = SQLModel.metadata.tables[StaffRow.__tablename__]
_KEY = SQLModel.metadata.tables[ApiKeyRow.__tablename__]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One action, and who did it: `key:<id>`, `staff:<id>` or a program, called `name`."""

    id: int
    at: datetime
    who: str
    name: str
    verb: str
    what: str
    detail: Mapping[str, Any]


def write(session: Session, who: str, verb: str, what: str, **detail: Any) -> None:
    """Record an action, in the transaction of the action itself."""
    session.execute(
        insert(_AUDIT).values(id=new_id(), who=who, verb=verb, what=what, detail=detail)
    )


def page(
    session: Session, cursor: str | None = None, limit: int = 50, *, what: str | None = None
) -> paging.Page[Entry]:
    """Return actions, the newest first; `what` narrows to those on one thing."""
    name = func.coalesce(_STAFF.c.email, _KEY.c.name, _A.who, type_=String)
    query = (
        select(*_A, name.label("name"))
        .outerjoin(_STAFF, _A.who == literal("staff:").concat(_STAFF.c.id))
        .outerjoin(_KEY, _A.who == literal("key:").concat(_KEY.c.id))
        .order_by(_A.at.desc(), _A.id.desc())
        .limit(limit + 1)
    )
    if what is not None:
        query = query.where(_A.what == what)
    after = paging.read_moment(cursor)
    if after is not None:
        query = query.where(tuple_(_A.at, _A.id) < tuple_(*after))
    entries = [Entry(**row._mapping) for row in session.execute(query)]  # noqa: SLF001 - a row's API
    return paging.cut(entries, limit, lambda last: paging.after_moment(last.at, last.id))


def last_changes(session: Session, kind: str, field: str) -> dict[str, datetime]:
    """Return when the field of each thing of that kind was changed last, by the thing's name.

    For actions that record under `fields` what they changed.
    """
    query = (
        select(_A.what, func.max(_A.at).label("at"))
        .where(_A.what.startswith(f"{kind}:"), _A.detail.contains({"fields": [field]}))
        .group_by(_A.what)
    )
    return {row.what.removeprefix(f"{kind}:"): row.at for row in session.execute(query)}


def caller_names(session: Session, callers: set[str]) -> dict[str, str]:
    """Return what people call these callers: the e-mail of staff, the name of a key."""
    staff = literal("staff:").concat(_STAFF.c.id)
    keys = literal("key:").concat(_KEY.c.id)
    rows = session.execute(
        union_all(
            select(staff.label("caller"), _STAFF.c.email.label("name")).where(staff.in_(callers)),
            select(keys, _KEY.c.name).where(keys.in_(callers)),
        )
    )
    return {row.caller: row.name for row in rows}
