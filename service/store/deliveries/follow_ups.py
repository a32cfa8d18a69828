"""Tickets of providers that answer a push with one: the outcome is asked for later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

KEPT_HOURS = 23
"""Providers keep the answers for about a day (Expo: 24 hours)."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, and the device whose push it stands for; the provider gave it at `kept_at`."""

    ticket: str
    device_id: int
    kept_at: datetime


def keep(session: Session, provider: str, tickets: Sequence[tuple[str, int, float]]) -> None:
    """Keep (ticket, device id, seconds until it is asked about)."""
    names, devices, seconds = zip(*tickets, strict=True)
    session.execute(
        text(
            "INSERT INTO follow_up (provider, ticket, device_id, due_at) "
            "SELECT :provider, t, d, now() + make_interval(secs => s) FROM unnest("
            "CAST(:tickets AS text[]), CAST(:devices AS bigint[]), CAST(:seconds AS float8[])) "
            "AS f(t, d, s) ON CONFLICT DO NOTHING"
        ),
        {
            "provider": provider,
            "tickets": list(names),
            "devices": list(devices),
            "seconds": list(seconds),
        },
    )


def take_due(session: Session, provider: str, limit: int, again_s: float) -> list[Ticket]:
    """Take tickets to ask about now; unless they are forgotten, they are due again in a while.

    Tickets older than their provider keeps them are dropped.
    """
    session.execute(
        text(
            "DELETE FROM follow_up WHERE provider = :p "
            "AND created_at < now() - make_interval(hours => :hours)"
        ),
        {"p": provider, "hours": KEPT_HOURS},
    )
    rows = session.execute(
        text(
            "WITH due AS MATERIALIZED (SELECT provider, ticket FROM follow_up "
            "WHERE provider = :p AND due_at <= now() ORDER BY due_at LIMIT :limit "
            "FOR UPDATE SKIP LOCKED) "
            "UPDATE follow_up SET due_at = now() + make_interval(secs => :again) FROM due "
            "WHERE follow_up.provider = due.provider AND follow_up.ticket = due.ticket "
            "RETURNING follow_up.ticket, device_id, created_at"
        ),
        {"p": provider, "limit": limit, "again": again_s},
    )
    return [Ticket(row.ticket, row.device_id, row.created_at) for row in rows]


def forget(session: Session, provider: str, tickets: Sequence[str]) -> None:
    """Forget tickets that were answered."""
    session.execute(
        text("DELETE FROM follow_up WHERE provider = :p AND ticket = ANY(:t)"),
        {"p": provider, "t": list(tickets)},
    )
