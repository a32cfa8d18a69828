"""The table `alarm`: troubles that were seen, and which of them people know."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from service.domain.operations.alarm import OpenAlarm

MOST_ALARMS = 200
_LIST = text("SELECT * FROM alarm ORDER BY began_at LIMIT :most")
_CLEAR = text("DELETE FROM alarm")
_KEEP = text("""
    INSERT INTO alarm (key, sentence, began_at, reported, away_since, ends)
    VALUES (:key, :sentence, :began_at, :reported, :away_since, :ends)
    ON CONFLICT (key) DO NOTHING""")
_NOTE = text("""
    INSERT INTO desk_note (alert_id, sent_at) VALUES (:alert_id, :now)
    ON CONFLICT DO NOTHING RETURNING 1""")
_FORGET_NOTES = text("DELETE FROM desk_note WHERE sent_at < :before")


def open_alarms(session: Session) -> dict[str, OpenAlarm]:
    """Return the troubles that were there at the last look, by their keys."""
    return {
        row.key: OpenAlarm(
            key=row.key,
            sentence=row.sentence,
            began_at=row.began_at,
            reported=row.reported,
            away_since=row.away_since,
            ends=row.ends,
        )
        for row in session.execute(_LIST, {"most": MOST_ALARMS})
    }


def keep(session: Session, alarms: Iterable[OpenAlarm]) -> None:
    """Keep these troubles in place of those of the last look."""
    session.execute(_CLEAR)
    for alarm in list(alarms)[:MOST_ALARMS]:
        session.execute(_KEEP, asdict(alarm))


def claim_note(session: Session, alert_id: int, now: datetime) -> bool:
    """Whether the newsroom does not know yet how this alert ended; from now on it does."""
    return session.execute(_NOTE, {"alert_id": alert_id, "now": now}).first() is not None


def forget_old_notes(session: Session, now: datetime) -> None:
    """Forget which ends the newsroom knows, a day after."""
    session.execute(_FORGET_NOTES, {"before": now - timedelta(days=1)})
