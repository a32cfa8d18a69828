"""The table `suggested_alert`: what sources suggest to alert, and what they alerted themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.domain.sources.alert_rule import AlertHistory
from service.domain.subscription import Urgency
from service.store.schema import AlertRow, SourceRow, StoryRow, SuggestedAlertRow

_SUGGESTION = SQLModel.metadata.tables[SuggestedAlertRow.__tablename__]
_A = _SUGGESTION.c
_S = SQLModel.metadata.tables[StoryRow.__tablename__].c
_SOURCE = SQLModel.metadata.tables[SourceRow.__tablename__].c
_ALERT = SQLModel.metadata.tables[AlertRow.__tablename__].c
WAITING, SENT, DISMISSED = "waiting", "sent", "dismissed"
SHOWN_FOR = timedelta(days=2)
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedAlert:
    """An alert that a source suggests: its story, its urgency, and why it did not leave alone."""

    story_id: int
    source_id: int
    source_name: str
    headline: str
    language: str
    state: str
    urgency: Urgency
    reason: str
    created_at: datetime


def add(session: Session, story_id: int, source_id: int, urgency: Urgency, reason: str) -> None:
    """Let an alert stand ready on the desk; a story has one suggestion at most, ever."""
    session.execute(
        insert(_SUGGESTION)
        .values(
            story_id=story_id,
            source_id=source_id,
            urgency=urgency.rank,
            reason=reason,
            state=WAITING,
        )
        .on_conflict_do_nothing()
    )


def settle(session: Session, story_id: int, state: str, settled_by: str) -> bool:
    """Note that a suggestion was sent or dismissed, and by whom; False when it waits no more."""
    row = session.execute(
        update(_SUGGESTION)
        .where(_A.story_id == story_id, _A.state == WAITING)
        .values(state=state, settled_by=settled_by, settled_at=func.now())
        .returning(_A.story_id)
    ).first()
    return row is not None


def get(session: Session, story_id: int) -> SuggestedAlert | None:
    """Return what waits for this story."""
    row = session.execute(_select().where(_A.story_id == story_id)).first()
    return None if row is None else _suggestion(row)


def waiting(session: Session) -> list[SuggestedAlert]:
    """Return what waits on the desk, the newest first; what is two days old is not shown."""
    query = _select().where(_A.created_at > func.now() - SHOWN_FOR)
    rows = session.execute(query.order_by(_A.created_at.desc()).limit(MOST_SHOWN))
    return [_suggestion(row) for row in rows]


def history(session: Session, source_id: int, sender: str) -> AlertHistory:
    """Return what a source sent by itself lately; `sender` is the source as a caller."""
    mine = (_A.source_id == source_id) & (_A.state == SENT) & (_A.settled_by == sender)
    last_day = _A.settled_at > func.now() - timedelta(days=1)
    row = session.execute(
        select(func.count().filter(last_day).label("number"), func.max(_A.settled_at).label("last"))
        .select_from(_SUGGESTION)
        .where(mine)
    ).one()
    return AlertHistory(sent_last_day=row.number, last_sent_at=row.last)


def _select() -> Any:
    columns = (_A.story_id, _A.source_id, _A.urgency, _A.reason, _A.created_at)
    story = (_S.headline, _S.language, _S.state)
    has_alert = exists().where(
        _ALERT.story_id == _A.story_id, _ALERT.kind == "first", ~_ALERT.dry_run, ~_ALERT.void
    )
    return (
        select(*columns, *story, _SOURCE.name.label("source_name"))
        .join(StoryRow, _S.id == _A.story_id)
        .join(SourceRow, _SOURCE.id == _A.source_id)
        .where(_A.state == WAITING, _S.state != "retracted", ~has_alert)
    )


def _suggestion(row: Row[Any]) -> SuggestedAlert:
    return SuggestedAlert(
        story_id=row.story_id,
        source_id=row.source_id,
        source_name=row.source_name,
        headline=row.headline,
        language=row.language,
        state=row.state,
        urgency=Urgency.of_rank(row.urgency),
        reason=row.reason,
        created_at=row.created_at,
    )
