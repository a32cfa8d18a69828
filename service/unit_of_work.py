"""One request or task is one transaction; its messages to the workers leave after the commit.

A message that left earlier could reach a worker before its row is visible.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text
from sqlmodel import Session

from service.outbox import Broker, Outbox
from service.store.session import transaction


@dataclass(slots=True)
class UnitOfWork:
    """An open transaction, its messages, and its time; `now` is the database's `now()`."""

    session: Session
    outbox: Outbox
    now: datetime


@contextmanager
def unit_of_work(engine: Engine, broker: Broker) -> Iterator[UnitOfWork]:
    """Open a unit of work. A normal end commits, then sends the messages; an error rolls back."""
    outbox = Outbox(broker)
    with transaction(engine) as session:
        # Rows written by every machine are compared with each other, so one clock dates them all.
        now: datetime = session.execute(text("SELECT now()")).scalar_one()
        yield UnitOfWork(session, outbox, now)
    outbox.flush()
