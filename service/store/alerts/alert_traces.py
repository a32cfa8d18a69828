"""Where an alert's work belongs in a trace: under the call that made it."""

from sqlalchemy import text
from sqlmodel import Session


def read_traceparent(session: Session, alert_id: int) -> str | None:
    """Return the alert's W3C `traceparent`; None for one that was made without a trace."""
    place: str | None = session.execute(
        text("SELECT traceparent FROM alert WHERE id = :alert_id"), {"alert_id": alert_id}
    ).scalar_one_or_none()
    return place
