"""The order and the shape of the topic tree in SQL, for every query that walks it."""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import SQLModel

from service.store.schema import TopicRow

_T = SQLModel.metadata.tables[TopicRow.__tablename__].c
in_order = _T.path.collate("C")
"""Byte order: parents before their children, whatever language the database speaks."""


def below(path: str) -> ColumnElement[bool]:
    """Whether a topic stands properly below `path`: a range of the index, `0` follows `/`."""
    return and_(in_order >= f"{path}/", in_order < f"{path}0")


def at_or_below(path: str) -> ColumnElement[bool]:
    """Whether a topic is `path` or stands below it."""
    return or_(_T.path == path, below(path))
