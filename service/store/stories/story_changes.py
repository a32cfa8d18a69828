"""When the public stories have changed last."""

from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import Session, SQLModel

from service.store.schema import StoryRow

_S = SQLModel.metadata.tables[StoryRow.__tablename__].c


def last_public_change(session: Session) -> datetime | None:
    """Return when a story that readers see was saved or became public last; None without one."""
    embargo = _S.embargo_until
    is_shown = embargo.is_(None) | (embargo <= func.now())
    moment = func.greatest(_S.updated_at, _S.published_at)
    query = select(moment).where(_S.state.in_(("published", "corrected")), is_shown)
    newest: datetime | None = session.execute(
        query.order_by(_S.updated_at.desc()).limit(1)
    ).scalar_one_or_none()
    return newest
