"""The table `topic_code`: the codes of vocabularies that stand for our topics."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.store.schema import TopicCodeRow, TopicRow

_CODE = SQLModel.metadata.tables[TopicCodeRow.__tablename__]
_C = _CODE.c
_T = SQLModel.metadata.tables[TopicRow.__tablename__].c
ROWS_AT_ONCE = 500


def paths_of(session: Session, codes: Collection[str]) -> dict[str, str]:
    """Return the paths of the topics that the codes stand for."""
    if not codes:
        return {}
    rows = session.execute(
        select(_C.code, _T.path).join(TopicRow, _T.id == _C.topic_id).where(_C.code.in_(codes))
    )
    return {row.code: row.path for row in rows}


def save(session: Session, topic_ids: Mapping[str, int]) -> None:
    """Let codes stand for topics, in place of what they stood for before."""
    rows = [{"code": code, "topic_id": topic_id} for code, topic_id in sorted(topic_ids.items())]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        statement = insert(_CODE).values(rows[start : start + ROWS_AT_ONCE])
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[_C.code], set_={"topic_id": statement.excluded.topic_id}
            )
        )
