"""Breaking alerts go before all others, however far these have come."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from service.store.sql_fragments import (
    alert_runs,
    batch_is_open,
    has_open_shard,
    is_held,
    may_go_on,
)

RENEWED_S = 1.0
"""A process at work renews its lease sooner than that; one that does not has died."""

PRECEDENCE_COLUMNS = f"""
    (SELECT k.id FROM alert k WHERE k.urgency = 2 AND {alert_runs("k")}
        AND {may_go_on("k")}
        AND k.id <> :a AND (NOT :strangers AND {has_open_shard("k.id")}
            OR EXISTS (SELECT 1 FROM batch o WHERE o.alert_id = k.id AND {batch_is_open("o")}
                AND o.claimable_at <= now() AND o.provider = ANY(CAST(:providers AS text[]))
                AND o.strangers = :strangers
                AND o.provider <> ALL(k.rejected_by)
                AND NOT EXISTS (SELECT 1 FROM hold h WHERE {is_held("o.provider")})))
        ORDER BY k.id LIMIT 1
    ) AS breaking_waits,
    EXISTS (SELECT 1 FROM alert k JOIN batch o ON o.alert_id = k.id WHERE k.urgency = 2
        AND {alert_runs("k")} AND k.id <> :a AND {batch_is_open("o")}
        AND o.strangers = :strangers
        AND o.lease_token IS NOT NULL AND o.claimable_at > now() + make_interval(secs => :live)
        AND coalesce(o.started_at, now()) > now() - interval '2 s'
    ) AS breaking_runs
"""
"""For a statement with the `precedence_values` and `:a`, the alert of the stream that asks.

A batch that takes longer than two seconds waits for its provider, not for us to make room.
"""


@dataclass(frozen=True, slots=True)
class Precedence:
    """What breaking alerts ask of another alert's stream.

    `waiting_alert` is one with a batch that could be claimed now: help it. `is_running` says that
    other processes have just begun with one: stand aside for a moment.
    """

    waiting_alert: int | None = None
    is_running: bool = False


def precedence_values(
    providers: Sequence[str], lease_s: float, *, strangers: bool
) -> dict[str, object]:
    """Return what `PRECEDENCE_COLUMNS` needs: batches of these providers count, of live holders.

    With `strangers` those of strangers' servers count, otherwise all others.
    """
    return {
        "providers": list(providers),
        "live": lease_s - RENEWED_S,
        "strangers": strangers,
    }


def read_precedence(
    session: Session,
    alert_id: int,
    providers: Sequence[str],
    *,
    lease_s: float,
    strangers: bool = False,
) -> Precedence:
    """Return what has precedence over this alert now."""
    values = {"a": alert_id, **precedence_values(providers, lease_s, strangers=strangers)}
    row = session.execute(text(f"SELECT {PRECEDENCE_COLUMNS}"), values).one()
    return Precedence(row.breaking_waits, row.breaking_runs)
