"""The table `worker`: each worker's sign of life."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

ALIVE_S = 60.0
FORGOTTEN = "1 day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A worker, the queues it takes from, when it was last seen, and why it cannot send."""

    name: str
    queues: tuple[str, ...]
    last_seen: datetime
    trouble: str | None = None


def beat(session: Session, name: str, queues: Sequence[str], trouble: str | None = None) -> None:
    """Write that a worker lives, and why it cannot send, and forget those of yesterday."""
    session.execute(
        text(
            "INSERT INTO worker (name, queues, last_seen, trouble) "
            "VALUES (:name, :queues, now(), :trouble) ON CONFLICT (name) DO UPDATE "
            "SET queues = excluded.queues, last_seen = now(), trouble = excluded.trouble"
        ),
        {"name": name, "queues": list(queues), "trouble": trouble},
    )
    session.execute(
        text("DELETE FROM worker WHERE last_seen < now() - CAST(:forgotten AS interval)"),
        {"forgotten": FORGOTTEN},
    )


def alive(session: Session, within_s: float = ALIVE_S) -> list[Heartbeat]:
    """Return the workers seen within a minute, or within another time, by name."""
    rows = session.execute(
        text(
            "SELECT name, queues, last_seen, trouble FROM worker "
            "WHERE last_seen > now() - make_interval(secs => :within) ORDER BY name"
        ),
        {"within": within_s},
    )
    return [
        Heartbeat(
            name=row.name,
            queues=tuple(row.queues),
            last_seen=row.last_seen,
            trouble=row.trouble,
        )
        for row in rows
    ]


def ages(session: Session) -> dict[str, float]:
    """Return for each worker of the last day the seconds since it was seen."""
    rows = session.execute(
        text("SELECT name, extract(epoch FROM now() - last_seen) AS age FROM worker ORDER BY name")
    )
    return {row.name: max(float(row.age), 0.0) for row in rows}
