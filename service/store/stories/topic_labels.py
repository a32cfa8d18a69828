"""The table `topic_label`: topics' names in other languages than that of their label."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.store.schema import TopicLabelRow

_LABEL = SQLModel.metadata.tables[TopicLabelRow.__tablename__]
_L = _LABEL.c
ROWS_AT_ONCE = 500
MOST_LANGUAGES = 60


def of_topics(
    session: Session, topic_ids: Collection[int], languages: Collection[str]
) -> dict[int, dict[str, str]]:
    """Return the labels of topics by their tags, in any variant of the languages."""
    rows = session.execute(
        select(_LABEL).where(
            _L.topic_id.in_(list(topic_ids)),
            func.split_part(_L.language, "-", 1).in_(list(languages)),
        )
    )
    labels: dict[int, dict[str, str]] = defaultdict(dict)
    for row in rows:
        labels[row.topic_id][row.language] = row.label
    return labels


def languages_of(session: Session, topic_ids: Collection[int]) -> list[str]:
    """Return the tags in which any of the topics has a label."""
    tags = select(_L.language).where(_L.topic_id.in_(list(topic_ids))).distinct()
    return list(session.execute(tags.order_by(_L.language).limit(MOST_LANGUAGES)).scalars())


def add(session: Session, rows: Sequence[tuple[int, str, str]]) -> None:
    """Keep labels, as topic, language and label; those that a topic has already stay."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        session.execute(
            insert(_LABEL)
            .values([dict(zip(_L.keys(), row, strict=True)) for row in rows[start:][:ROWS_AT_ONCE]])
            .on_conflict_do_nothing()
        )


def replace(session: Session, topic_id: int, labels: Mapping[str, str]) -> None:
    """Give a topic its label in each language; an empty one takes it away."""
    session.execute(_LABEL.delete().where(_L.topic_id == topic_id, _L.language.in_(list(labels))))
    add(session, [(topic_id, tag, label) for tag, label in labels.items() if label])
