"""One process sweeps at a time, by a lease that it renews while it is at work."""

import os
import socket
import time
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.store.operations import process_leases
from service.store.session import transaction

LEASE_S = 6.0
"""After so long the next pass takes over from a process that vanished in the middle of one."""
RENEWAL_S = LEASE_S / 3


class SweepLease:
    """The lease for one pass."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._holder = f"{socket.gethostname()}/{os.getpid()}"
        self._renewed_at = float("-inf")

    def take(self) -> bool:
        """Take the lease, or renew it when that is due; False when another process has it."""
        now = time.monotonic()
        if now - self._renewed_at < RENEWAL_S:
            return True
        with transaction(self._engine) as session:
            is_ours = process_leases.take(session, process_leases.SWEEP, self._holder, LEASE_S)
        self._renewed_at = now
        return is_ours

    def give_back(self) -> None:
        """Let any process make the next pass; without a database the lease runs out by itself."""
        with suppress(SQLAlchemyError), transaction(self._engine) as session:
            process_leases.give_back(session, process_leases.SWEEP, self._holder)
