"""Who goes first: breaking alerts before all others, wherever these are in their work."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from service.store.sql_fragments import alert_runs, batch_is_open, has_open_shard

RENEWED_S = 1.0
"""Who is at work renews the lease sooner than that; a longer silence is a dead holder's."""

COLUMNS = f"""
    (SELECT k.id FROM alert k WHERE k.urgency = 2 AND {alert_runs("k")}
        AND k.id <> :a AND ({has_open_shard("k.id")}
            OR EXISTS (SELECT 1 FROM batch o WHERE o.alert_id = k.id AND {batch_is_open("o")}
                AND o.claimable_at <= now() AND o.provider = ANY(:providers)
                AND o.provider <> ALL(k.rejected_by)
                AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.provider = o.provider)))
        ORDER BY k.id LIMIT 1
    ) AS breaking_waits,
    EXISTS (SELECT 1 FROM alert k JOIN batch o ON o.alert_id = k.id WHERE k.urgency = 2
        AND {alert_runs("k")} AND k.id <> :a AND {batch_is_open("o")}
        AND o.lease_token IS NOT NULL AND o.claimable_at > now() + make_interval(secs => :live)
        AND coalesce(o.started_at, now()) > now() - interval '2 s'
    ) AS breaking_runs
"""
"""For a statement that knows what `values` gives, and `:a`, the alert that asks.

A batch that takes longer than two seconds waits for its provider, not for us to make room.
"""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What breaking alerts ask of another alert's stream.

    `waits` is one with something that could be claimed now: help it. `runs` says that others have
    begun with some of one: stand aside for a moment.
    """

    waits: int | None = None
    runs: bool = False


def values(providers: Sequence[str], lease_s: float) -> dict[str, object]:
    """Return what `COLUMNS` needs: what these providers could push counts, in live hands."""
    return {"providers": list(providers), "live": lease_s - RENEWED_S}


def ahead_of(session: Session, alert_id: int, providers: Sequence[str], *, lease_s: float) -> Ahead:
    """Say what has precedence over this alert now."""
    given = {"a": alert_id, **values(providers, lease_s)}
    row = session.execute(text(f"SELECT {COLUMNS}"), given).one()
    return Ahead(row.breaking_waits, row.breaking_runs)
