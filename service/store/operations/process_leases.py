"""The table `process_lease`: work that one process does at a time.

A lease is a row with an end, not a lock of a session: a process that vanishes with its host keeps
it for seconds, and no other ever waits for it.
"""

from sqlalchemy import text
from sqlmodel import Session

SWEEP = "sweep"
"""The lease of the process that makes the present pass of the sweep."""

_TAKE = text("""
    WITH free AS (
        SELECT name FROM process_lease WHERE name = :name
        AND (holder = :holder OR expires_at < clock_timestamp()) FOR UPDATE SKIP LOCKED)
    UPDATE process_lease SET holder = :holder,
        expires_at = clock_timestamp() + make_interval(secs => :seconds)
    FROM free WHERE process_lease.name = free.name RETURNING 1""")

_ADD = text("""
    INSERT INTO process_lease (name, holder, expires_at)
    VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT DO NOTHING RETURNING 1""")

_GIVE_BACK = text("""
    UPDATE process_lease SET expires_at = clock_timestamp()
    WHERE name = :name AND holder = :holder""")

_IDLE = text("""
    SELECT extract(epoch FROM clock_timestamp() - expires_at) FROM process_lease
    WHERE name = :name""")


def take(session: Session, name: str, holder: str, seconds: float) -> bool:
    """Take the lease for some seconds, or renew it; False while another process has it."""
    values = {"name": name, "holder": holder, "seconds": seconds}
    if session.execute(_TAKE, values).first() is not None:
        return True
    return session.execute(_ADD, values).first() is not None


def give_back(session: Session, name: str, holder: str) -> None:
    """End the lease now, so that any process may do the work next."""
    session.execute(_GIVE_BACK, {"name": name, "holder": holder})


def idle_seconds(session: Session, name: str) -> float | None:
    """Return for how long nobody has had the lease, 0 while somebody has it; None for never."""
    idle = session.execute(_IDLE, {"name": name}).scalar_one_or_none()
    return None if idle is None else max(float(idle), 0.0)
