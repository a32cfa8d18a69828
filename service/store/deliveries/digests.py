"""Digests: what quiet hours kept away, as one push at their end, for readers who ask for it.

A row of `digest` is a window of ends of quiet hours; with it its alert is written, in the same
transaction, so that whatever dies, no window is told twice. Fan-out finds for each reader of a
shard what it missed and would still be addressed by, and packs those who missed the same together.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.language import base_languages
from service.domain.new_alerts import new_digest
from service.domain.pace.digest import LEAST_GAP, MOST_ALERTS, REACH_BACK, Window, window_at
from service.domain.subscription import Urgency
from service.store.alerts import alerts
from service.store.readers import audience
from service.store.readers.audience import FrozenAudience
from service.store.readers.missed_alerts import MAY_BE_TOLD
from service.store.schema import ID_LIMIT, new_id
from service.store.sql_fragments import array_literal

MOST_SEARCHED = 60
"""So many of the newest alerts are looked at for what a reader missed."""

_ASKED = "reader.digest AND reader.quiet_from <> reader.quiet_to"
_ZONES = text(f"""
    WITH RECURSIVE zone AS (
        SELECT min(timezone) AS name FROM reader WHERE {_ASKED}
        UNION ALL
        SELECT (SELECT min(timezone) FROM reader WHERE {_ASKED} AND timezone > zone.name)
        FROM zone WHERE zone.name IS NOT NULL
    ) SELECT name FROM zone WHERE name IS NOT NULL""")
_DUE = f"""
    FROM reader JOIN unnest(CAST(:zones AS text[]), CAST(:begins AS time[]), CAST(:ends AS time[]))
        AS zone (name, begins, ends) ON zone.name = reader.timezone
    WHERE {_ASKED} AND reader.id >= :lo AND reader.id < :hi
    AND CASE WHEN begins <= ends THEN quiet_to > begins AND quiet_to <= ends
        ELSE quiet_to > begins OR quiet_to <= ends END
    AND NOT EXISTS (SELECT 1 FROM last_digest WHERE reader_id = reader.id
        AND sent_at > CAST(:end AS timestamptz) - CAST(:gap AS interval))"""
_READERS = text(f"SELECT reader.id, reader.reads {_DUE}")
_COUNT = text(f"SELECT count(*) {_DUE}")

_LAST_END = text("SELECT max(end_at) FROM digest")
_ADD = text("""
    INSERT INTO digest (end_at, begin_at) VALUES (:end_at, :begin_at)
    ON CONFLICT DO NOTHING RETURNING end_at""")
_NAME = text("UPDATE digest SET alert_id = :alert_id WHERE end_at = :end_at")
_WINDOW = text("SELECT begin_at, end_at FROM digest WHERE alert_id = :alert_id")
_NEWEST_STORY = text("""
    SELECT a.story_id FROM alert a WHERE a.started_at > :since
        AND EXISTS (SELECT 1 FROM missed_alert WHERE alert_id = a.id)
    ORDER BY a.started_at DESC LIMIT 1""")
_FORGET = text("DELETE FROM digest WHERE end_at < now() - interval '7 days'")

_ALERTS = text(f"""
    SELECT a.id, a.topic_ids, a.above, a.story_id, a.urgency, a.everyone, a.started_at, s.language,
        ARRAY(SELECT jsonb_object_keys(a.locales)) AS locales
    FROM alert a JOIN story s ON s.id = a.story_id
    WHERE a.started_at > :since AND {MAY_BE_TOLD}
        AND EXISTS (SELECT 1 FROM missed_alert WHERE alert_id = a.id)
    ORDER BY a.started_at DESC LIMIT :most""")
_MISSED_BY = text("""
    SELECT DISTINCT m.id FROM missed_alert, unnest(reader_ids) AS m (id)
    WHERE alert_id = :alert_id AND m.id = ANY(:readers)""")

_DEVICES = """
WITH due AS (
    SELECT * FROM unnest(CAST(:digest_readers AS bigint[]), CAST(:digest_alerts AS text[]))
        AS due (reader_id, missed)
), device_in AS (
    SELECT device.id, device.provider, device.reader_id, due.missed FROM due
    JOIN device ON device.reader_id = due.reader_id
    WHERE device.gone_at IS NULL AND device.provider = ANY(:providers)
), noted AS (
    INSERT INTO last_digest (reader_id, sent_at)
    SELECT DISTINCT reader_id, CAST(:digest_end AS timestamptz) FROM device_in
    ON CONFLICT (reader_id) DO UPDATE SET sent_at = excluded.sent_at
)"""


def begin_digest(session: Session, now: datetime) -> int | None:
    """Write the alert of the window that is over, if it has readers; returns its id.

    Who comes second to a window writes nothing.
    """
    zones = list(session.execute(_ZONES).scalars())
    if not zones:
        return None
    window = window_at(now, session.execute(_LAST_END).scalar_one())
    if window is None:
        return None
    values = {"begin_at": window.begin, "end_at": window.end}
    if session.execute(_ADD, values).one_or_none() is None:
        return None
    since = window.end - REACH_BACK
    story_id = session.execute(_NEWEST_STORY, {"since": since}).scalar_one_or_none()
    due = _due_values(window, zones, 0, ID_LIMIT)
    if story_id is None or not session.execute(_COUNT, due).scalar_one():
        return None
    alert = new_digest(new_id(), story_id, now)
    alerts.add(session, alert)
    session.execute(_NAME, {"alert_id": alert.id, "end_at": window.end})
    return alert.id


def count_due(session: Session, alert_id: int) -> int:
    """Return how many readers a digest's window has."""
    zones = session.execute(_ZONES).scalars()
    values = _due_values(_window(session, alert_id), zones, 0, ID_LIMIT)
    return int(session.execute(_COUNT, values).scalar_one())


def digest_devices(
    session: Session, alert_id: int, providers: Sequence[str], lo: int, hi: int
) -> tuple[dict[str, Any], str]:
    """Return the values and the CTEs that end in `device_in`, with what each reader missed."""
    window = _window(session, alert_id)
    missed = _missed(session, window, lo, hi)
    return {
        "lo": lo,
        "hi": hi,
        "providers": list(providers),
        "digest_readers": list(missed),
        "digest_alerts": [array_literal(ids) for ids in missed.values()],
        "digest_end": window.end,
    }, _DEVICES


def forget_windows(session: Session) -> None:
    """Forget the windows of a week ago."""
    session.execute(_FORGET)


def _window(session: Session, alert_id: int) -> Window:
    row = session.execute(_WINDOW, {"alert_id": alert_id}).one()
    return Window(row.begin_at, row.end_at)


def _due_values(window: Window, zones: Iterable[str], lo: int, hi: int) -> dict[str, Any]:
    ends = window.local_ends(zones)
    return {
        "zones": list(ends),
        "begins": [begin for begin, _ in ends.values()],
        "ends": [end for _, end in ends.values()],
        "end": window.end,
        "gap": LEAST_GAP,
        "lo": lo,
        "hi": hi,
    }


def _missed(session: Session, window: Window, lo: int, hi: int) -> Mapping[int, list[int]]:
    """Return by reader of a range the alerts for its digest, the newest first; none without any.

    What a reader unfollowed or muted since is left out, and what is in no language of the reader's.
    """
    zones = session.execute(_ZONES).scalars()
    readers = session.execute(_READERS, _due_values(window, zones, lo, hi)).all()
    reads = {row.id: frozenset(row.reads) for row in readers}
    missed: dict[int, list[int]] = {}
    values = {"since": window.end - REACH_BACK, "most": MOST_SEARCHED}
    for row in session.execute(_ALERTS, values).all() if reads else ():
        values = {"alert_id": row.id, "readers": list(reads)}
        ids = list(session.execute(_MISSED_BY, values).scalars())
        languages = base_languages([row.language, *row.locales])
        frozen = FrozenAudience(
            topic_ids=row.topic_ids or [],
            above=row.above or [],
            story_id=row.story_id,
            urgency=Urgency.of_rank(row.urgency),
            everyone=row.everyone,
            at=window.end,
        )
        for reader_id in audience.still_addressed(session, frozen, ids, lo, hi) if ids else ():
            own = reads[reader_id]
            if not own or own & languages:
                missed.setdefault(reader_id, []).append(row.id)
    return {reader_id: ids[:MOST_ALERTS] for reader_id, ids in missed.items()}
