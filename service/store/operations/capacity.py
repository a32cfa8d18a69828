"""How close PostgreSQL is to what it can take."""

from sqlalchemy import text
from sqlmodel import Session

_SHARE = text("""
    SELECT count(*) / current_setting('max_connections')::float FROM pg_stat_activity
    WHERE backend_type = 'client backend'""")


def connections_in_use(session: Session) -> float:
    """Return the share of the allowed connections that are open."""
    return float(session.execute(_SHARE).scalar_one())
