"""The database's clock, carried on by a monotonic one: jumps of this machine's mean nothing."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from service.store.session import database_now


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it was for the database, and how long ago that is."""

    read_at: datetime
    started: float

    @classmethod
    def of(cls, session: Session) -> "Clock":
        """Ask the database once."""
        return cls(database_now(session), time.monotonic())

    def now(self) -> datetime:
        """Return the database's time."""
        return self.read_at + timedelta(seconds=time.monotonic() - self.started)

    def ms_since(self, moment: datetime) -> int:
        """Return the milliseconds since a moment of the database's, not below zero."""
        return max(int((self.now() - moment).total_seconds() * 1000), 0)
