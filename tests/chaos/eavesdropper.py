"""A second witness: reads along what crosses Redis, and looks whether the rows are there already.

A message that leaves before its commit speaks of rows that nobody can see yet, or that never come.
"""

import base64
import json
import threading
import time
from typing import Any

import psycopg
import redis

from service.outbox import QUEUES

QUIET_S = 1.0
MISSING = {
    "plan_alert": "SELECT NOT EXISTS (SELECT 1 FROM alert WHERE id = %s AND state <> 'scheduled')",
    "fan_out_shard": "SELECT NOT EXISTS (SELECT 1 FROM shard WHERE alert_id = %s AND n = %s)",
    "deliver": "SELECT NOT EXISTS (SELECT 1 FROM shard WHERE alert_id = %s)",
}
"""Whether the rows that a message speaks of are missing, by the message's name."""


class Eavesdropper(threading.Thread):
    """Counts the messages, and in `early` those that were on their way before their commit.

    Redis and Postgres being away are waited out; what nobody can look up is not counted.
    """

    def __init__(self, redis_url: str, database_url: str) -> None:
        super().__init__(daemon=True)
        self.redis_url = redis_url
        self.database_url = database_url
        self.heard = 0
        self.early: list[str] = []
        self._ending = threading.Event()

    def run(self) -> None:
        """Listen until told to stop."""
        while not self._ending.is_set():
            try:
                with psycopg.connect(self.database_url, connect_timeout=2, autocommit=True) as rows:
                    self._listen(rows)
            except (redis.RedisError, psycopg.Error):
                time.sleep(QUIET_S / 10)

    def finish(self) -> None:
        """Stop listening."""
        self._ending.set()
        self.join(10)

    def _listen(self, rows: psycopg.Connection) -> None:
        client = redis.Redis.from_url(self.redis_url, socket_timeout=QUIET_S)
        with client, client.monitor() as monitor:
            while not self._ending.is_set():
                message = _message(monitor.next_command()["command"])
                if message is not None:
                    self._look(rows, *message)

    def _look(self, rows: psycopg.Connection, task: str, ids: list[int]) -> None:
        missing = rows.execute(MISSING[task], ids).fetchone()
        self.heard += 1
        if missing is not None and missing[0]:
            self.early.append(f"{task}{tuple(ids)}")


def _message(command: str) -> tuple[str, list[int]] | None:
    """Read a task's name and ids from the command that puts it into a queue; None for others."""
    verb, _, rest = command.partition(" ")
    queue, _, body = rest.partition(" ")
    if verb != "LPUSH" or queue not in QUEUES:
        return None
    envelope: dict[str, Any] = json.loads(body)
    task = envelope["headers"]["task"]
    if task not in MISSING:
        return None
    arguments = json.loads(base64.b64decode(envelope["body"]))[0]
    return task, [int(argument) for argument in arguments]
