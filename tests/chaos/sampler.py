"""Reads the batches all the time, to compare their states at the end with what was on record."""

import threading
import time

import psycopg

ACCEPTED = 2
INTERVAL_S = 0.5


class Sampler(threading.Thread):
    """Records when each delivery was first seen as accepted, and how many were at each time.

    `accepted_by` maps (alert, device) to an upper bound, in epoch seconds, of the time at which its
    acceptance was on record. While PostgreSQL is away it waits.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.accepted_by: dict[tuple[int, int], float] = {}
        self.series: list[tuple[float, int]] = []
        self._last_states: dict[tuple[int, int, int], bytes] = {}
        self._end = threading.Event()

    def run(self) -> None:
        """Sample until `finish`."""
        while not self._end.wait(INTERVAL_S):
            try:
                with psycopg.connect(self.url, connect_timeout=2) as connection:
                    while not self._end.is_set():
                        self._sample(connection)
                        time.sleep(INTERVAL_S)
            except psycopg.Error:
                continue

    def finish(self) -> None:
        """Stop sampling."""
        self._end.set()
        self.join(10)

    def acceptances_of(self, alert_id: int) -> dict[int, float]:
        """Return the acceptances of one alert, by device."""
        items = self.accepted_by.items()
        return {device: at for (alert, device), at in items if alert == alert_id}

    def _sample(self, connection: psycopg.Connection) -> None:
        rows = connection.execute(
            "SELECT alert_id, shard_n, n, states, CASE WHEN counts[3] > 0 THEN device_ids END "
            "FROM batch WHERE finished_at IS NULL OR finished_at > now() - interval '90 s'"
        ).fetchall()
        total = connection.execute("SELECT coalesce(sum(counts[3]), 0) FROM batch").fetchone()
        connection.rollback()
        now = time.time()
        self.series.append((now, int(total[0]) if total else 0))
        for alert, shard, n, states, devices in rows:
            key = (alert, shard, n)
            if devices is None or self._last_states.get(key) == states:
                continue
            self._last_states[key] = states
            for position, device in enumerate(devices):
                if states[position] & 7 == ACCEPTED:
                    self.accepted_by.setdefault((alert, device), now)
