"""A witness: reads the ledger all the time, so that afterwards it can be held to its word."""

import threading
import time

import psycopg

ACCEPTED = 2
EVERY_S = 0.5


class Sampler(threading.Thread):
    """Notes when each delivery was first seen as accepted, and how many there were when.

    `accepted_by` maps (alert, device) to an upper bound of the time, in epoch seconds, by which
    its acceptance was on record. Postgres being away is waited out.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.accepted_by: dict[tuple[int, int], float] = {}
        self.series: list[tuple[float, int]] = []
        self._known: dict[tuple[int, int, int], bytes] = {}
        self._ending = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._ending.wait(EVERY_S):
            try:
                with psycopg.connect(self.url, connect_timeout=2) as connection:
                    while not self._ending.is_set():
                        self._look(connection)
                        time.sleep(EVERY_S)
            except psycopg.Error:
                continue

    def finish(self) -> None:
        """Stop looking."""
        self._ending.set()
        self.join(10)

    def of(self, alert_id: int) -> dict[int, float]:
        """Return the acceptances of one alert, by device."""
        seen = self.accepted_by.items()
        return {device: at for (alert, device), at in seen if alert == alert_id}

    def _look(self, connection: psycopg.Connection) -> None:
        changed = connection.execute(
            "SELECT alert_id, shard_n, n, states, CASE WHEN counts[3] > 0 THEN device_ids END "
            "FROM batch WHERE finished_at IS NULL OR finished_at > now() - interval '90 s'"
        ).fetchall()
        total = connection.execute("SELECT coalesce(sum(counts[3]), 0) FROM batch").fetchone()
        connection.rollback()
        now = time.time()
        self.series.append((now, int(total[0]) if total else 0))
        for alert, shard, n, states, devices in changed:
            key = (alert, shard, n)
            if devices is None or self._known.get(key) == states:
                continue
            self._known[key] = states
            for position, device in enumerate(devices):
                if states[position] & 7 == ACCEPTED:
                    self.accepted_by.setdefault((alert, device), now)
