"""The table `received_story`: what each sender last sent, by the sender's name of the story."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Text, cast, delete, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import Session, SQLModel

from service.domain.story import SourceRevision
from service.store.schema import ReceivedStoryRow

_RECEIVED = SQLModel.metadata.tables[ReceivedStoryRow.__tablename__]
_R = _RECEIVED.c
_LOCK_SEED = 5
"""Keeps these advisory locks apart from others."""
KILLS_KEPT = timedelta(days=90)
"""How long a kill of a story that never came keeps its older texts out."""


def lock(session: Session, uris: Iterable[str]) -> None:
    """Let other deliveries of these stories wait until the transaction ends.

    They are locked in one order, whatever the order of the document, so no two wait in a circle.
    """
    names = func.unnest(cast(sorted(set(uris)), ARRAY(Text)), type_=Text).column_valued("uri")
    ordered = select(names).order_by(names).subquery()
    key = func.hashtextextended(ordered.c.uri, _LOCK_SEED)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def last_revision(session: Session, uri: str) -> SourceRevision | None:
    """Return what the sender last sent under this name; None if nothing ever came."""
    row = session.execute(
        select(_R.version, _R.updated_at, _R.content_hash, _R.is_kill).where(_R.uri == uri)
    ).first()
    if row is None:
        return None
    return SourceRevision(
        version=row.version,
        updated_at=row.updated_at,
        content_hash=row.content_hash,
        is_kill=row.is_kill,
    )


def known_hashes(session: Session, uris: Iterable[str]) -> dict[str, str | None]:
    """Return the content hashes of what was last sent under these names, where something was."""
    rows = session.execute(select(_R.uri, _R.content_hash).where(_R.uri.in_(list(uris))))
    return {row.uri: row.content_hash for row in rows}


def count_stories(session: Session, received_by: Iterable[str]) -> dict[str, int]:
    """Return how many stories each of the senders has sent last."""
    rows = session.execute(
        select(_R.received_by, func.count().label("number"))
        .where(_R.received_by.in_(list(received_by)), _R.story_id.is_not(None))
        .group_by(_R.received_by)
    )
    return {row.received_by: row.number for row in rows}


def save_revision(
    session: Session, uri: str, revision: SourceRevision, story_id: int | None, received_by: str
) -> None:
    """Keep what a sender sent; `story_id` is None for a kill of a story that never came."""
    values = {
        "story_id": story_id,
        "version": revision.version,
        "updated_at": revision.updated_at,
        "content_hash": revision.content_hash,
        "is_kill": revision.is_kill,
        "received_by": received_by,
        "received_at": func.now(),
    }
    session.execute(
        insert(_RECEIVED)
        .values(uri=uri, **values)
        .on_conflict_do_update(index_elements=[_R.uri], set_=values)
    )


def forget_old_kills(session: Session) -> None:
    """Forget kills of stories that never came, after ninety days."""
    session.execute(
        delete(_RECEIVED).where(_R.story_id.is_(None), _R.received_at < func.now() - KILLS_KEPT)
    )
