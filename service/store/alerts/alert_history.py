"""The history of alerts: found by words, topic, editor, urgency, state and day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import ColumnElement, and_, func, literal, or_, select
from sqlmodel import Session, SQLModel

from service.domain.alert import AlertState, Report
from service.domain.subscription import Urgency
from service.store import paging
from service.store.alerts import alerts
from service.store.schema import AlertRow, StoryRow

MOST_WORDS = 12

_ALERT = SQLModel.metadata.tables[AlertRow.__tablename__]
_A = _ALERT.c
_S = SQLModel.metadata.tables[StoryRow.__tablename__].c


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """What is looked for; what is empty or None narrows nothing. Days are in UTC."""

    words: str = ""
    topic: str = ""
    editor: str = ""
    urgency: Urgency | None = None
    state: AlertState | None = None
    first_day: date | None = None
    last_day: date | None = None


def history_page(
    session: Session, query: HistoryFilter, cursor: str | None, limit: int
) -> paging.Page[Report]:
    """Return alerts for readers that match, the newest first."""
    return alerts.page(session, cursor, limit, *_conditions(query))


def _conditions(query: HistoryFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        or_(
            *(
                column.icontains(word, autoescape=True)
                for column in (_A.title, _A.body, _headline())
            )
        )
        for word in query.words.split()[:MOST_WORDS]
    ]
    if query.topic:
        conditions.append(and_(~_A.everyone, _has_topic(query.topic)))
    if query.editor:
        conditions.append(_A.created_by == query.editor)
    if query.urgency is not None:
        conditions.append(_A.urgency == query.urgency.rank)
    if query.state is not None:
        conditions.append(_A.state == query.state.value)
    if query.first_day is not None:
        conditions.append(_A.created_at >= datetime.combine(query.first_day, time(), UTC))
    if query.last_day is not None:
        conditions.append(_A.created_at <= datetime.combine(query.last_day, time.max, UTC))
    return conditions


def _has_topic(path: str) -> ColumnElement[bool]:
    """Whether the audience follows the topic or one below it; a story's own unless it was named."""
    story_topics = select(_S.topics).where(_S.id == _A.story_id).correlate(_ALERT).scalar_subquery()
    topic = func.unnest(func.coalesce(_A.topics, story_topics)).column_valued("audience_topic")
    below = func.starts_with(topic, f"{path}/")
    return select(literal(1)).where(or_(topic == path, below)).correlate(_ALERT).exists()


def _headline() -> ColumnElement[str]:
    return select(_S.headline).where(_S.id == _A.story_id).correlate(_ALERT).scalar_subquery()
