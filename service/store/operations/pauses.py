"""The pause of all sending: a hold of every provider, which only a person ends."""

from collections.abc import Collection, Iterable

from sqlalchemy import text
from sqlmodel import Session

from service.store.operations import holds
from service.store.operations.holds import Hold
from service.store.sql_fragments import EVERY_PROVIDER, batch_is_open


def get(session: Session) -> Hold | None:
    """Return why, since when and by whom all sending is paused; None when it is not."""
    row = session.execute(
        text("SELECT reason, since, held_by FROM hold WHERE provider = :every"),
        {"every": EVERY_PROVIDER},
    ).one_or_none()
    return None if row is None else Hold(reason=row.reason, since=row.since, held_by=row.held_by)


def pause(session: Session, reason: str, by: str) -> None:
    """Let no push leave from the next write of each stream on, which comes within a second."""
    holds.hold(session, EVERY_PROVIDER, reason, by)


def resume(session: Session) -> list[tuple[int, str]] | None:
    """End the pause; return the alerts that go on, and their queues. None: there was no pause."""
    if not holds.release(session, EVERY_PROVIDER):
        return None
    rows = session.execute(text(f"SELECT DISTINCT provider FROM batch WHERE {batch_is_open()}"))
    held = holds.held(session)
    alerts = {
        alert: None
        for (provider,) in rows.all()
        if provider not in held
        for alert in holds.wake(session, provider)
    }
    return list(alerts)


def unusable(session: Session, names: Iterable[str]) -> Collection[str]:
    """Return which of the providers must not be used now: those that are held, or all."""
    held = holds.held(session)
    return [name for name in names if name in held] if get(session) is None else list(names)
