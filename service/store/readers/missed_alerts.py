"""The alerts that quiet hours kept away from readers who want to hear of them afterwards.

Fan-out notes them, in the statement that leaves these readers out, one row a shard. They are told
in a digest (`service.store.deliveries.digests`) and on the reader's page.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from service.domain.audience import LeftOut
from service.domain.language import base_languages
from service.domain.languages.digest_words import MissedAlert
from service.domain.people import Reader
from service.store.readers.left_out_rules import REASONS

KEPT = timedelta(hours=48)
"""So long what a reader missed is on record, for its page."""
MOST_SHOWN = 30

DIGESTS_EXIST = "EXISTS (SELECT 1 FROM reader WHERE digest)"
"""Whether any reader wants digests; the index `reader_digest` answers it."""

NOTE_MISSED = f""", wanting AS MATERIALIZED (
    SELECT id FROM reader WHERE id >= :lo AND id < :hi AND digest
), missing AS (
    INSERT INTO missed_alert (alert_id, shard_n, reader_ids)
    SELECT :alert_id, :shard_n, array_agg(DISTINCT candidate.reader_id)
    FROM candidate JOIN wanting ON wanting.id = candidate.reader_id
    WHERE candidate.reason = {REASONS.index(LeftOut.QUIET_HOURS) + 1} HAVING count(*) > 0
)"""
"""The CTEs of fan-out that note whom quiet hours keep the alert from."""

MAY_BE_TOLD = """(s.state IN ('published', 'corrected')
    AND (s.expires_at IS NULL OR s.expires_at > now()) AND NOT a.void
    AND (a.state <> 'stopped' OR EXISTS (SELECT 1 FROM alert c WHERE c.source_alert_id = a.id
        AND c.kind = 'update' AND NOT c.dry_run AND c.state <> 'stopped'))
    AND NOT EXISTS (SELECT 1 FROM alert w WHERE w.source_alert_id = a.id
        AND w.kind = 'withdrawal' AND NOT w.dry_run))"""
"""Whether what the alert `a` of the story `s` said still holds, by now."""

_MISSED = f"""
    SELECT a.id, s.slug, a.started_at, s.language,
        coalesce(c.title, CASE WHEN is_newer THEN s.headline END,
            CASE WHEN h.headline = 1 THEN a.headline_test->>'title' END, a.title, s.headline)
            AS title,
        CASE WHEN c.title IS NOT NULL THEN c.locales WHEN is_newer THEN jsonb_build_object()
            ELSE a.locales END AS locales
    FROM alert a JOIN story s ON s.id = a.story_id
    LEFT JOIN headline_choice h ON h.alert_id = a.id
    CROSS JOIN LATERAL (SELECT s.state = 'corrected' AND s.updated_at > a.started_at AS is_newer) n
    LEFT JOIN LATERAL (SELECT title, locales FROM alert c WHERE c.source_alert_id = a.id
        AND c.kind = 'update' AND NOT c.dry_run AND c.started_at IS NOT NULL
        ORDER BY c.created_at DESC LIMIT 1) c ON true
    WHERE {{which}} AND {MAY_BE_TOLD}
    ORDER BY a.started_at DESC LIMIT :most"""
"""A correction's words, else those of the story where it was corrected since, else its own: of two
headlines the one that was chosen."""

_BY_ID = text(_MISSED.format(which="a.id = ANY(:ids)"))
_OF_READER = text(
    _MISSED.format(
        which="""a.started_at > :since AND a.id IN (
        SELECT m.alert_id FROM missed_alert m JOIN shard ON shard.alert_id = m.alert_id
            AND shard.n = m.shard_n AND shard.lo <= :reader AND shard.hi > :reader
        WHERE :reader = ANY(m.reader_ids))"""
    )
)
_FORGET = text("""
    DELETE FROM missed_alert USING alert WHERE alert.id = missed_alert.alert_id
    AND alert.started_at < now() - CAST(:kept AS interval)""")


def missed_alerts(session: Session, ids: Sequence[int]) -> list[MissedAlert]:
    """Return those of the alerts that may still be told, with the words of now, newest first."""
    values = {"ids": list(ids), "most": len(ids)}
    return _read(session.execute(_BY_ID, values))


def missed_by(session: Session, reader: Reader, now: datetime) -> list[MissedAlert]:
    """Return what quiet hours kept from a reader who wants digests, the newest first.

    What is in no language of the reader's is left out.
    """
    values = {"reader": reader.id, "since": now - KEPT, "most": MOST_SHOWN}
    rows = _read(session.execute(_OF_READER, values))
    own = base_languages(reader.languages)
    return [row for row in rows if not own or own & base_languages([row.language, *row.locales])]


def forget_missed(session: Session) -> None:
    """Forget what is on record no more."""
    session.execute(_FORGET, {"kept": KEPT})


def _read(rows: Iterable[Row[Any]]) -> list[MissedAlert]:
    return [
        MissedAlert(
            alert_id=row.id,
            slug=row.slug,
            at=row.started_at,
            title=row.title,
            language=row.language,
            locales={tag: words["title"] for tag, words in row.locales.items()},
        )
        for row in rows
    ]
