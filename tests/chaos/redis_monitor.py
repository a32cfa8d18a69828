"""Reads the messages that cross Redis, and checks that the rows they refer to are committed.

A message that leaves before its commit refers to rows that nobody can see yet, or that never come.
"""

import base64
import json
import threading
import time
from typing import Any

import psycopg
import redis

QUEUES = ("urgent", "normal")
READ_TIMEOUT_S = 1.0
RECONNECT_PAUSE_S = 0.1
IS_MISSING = {
    "plan_alert": "SELECT NOT EXISTS (SELECT 1 FROM alert WHERE id = %s AND state <> 'scheduled')",
    "fan_out_shard": "SELECT NOT EXISTS (SELECT 1 FROM shard WHERE alert_id = %s AND n = %s)",
    "deliver": "SELECT NOT EXISTS (SELECT 1 FROM shard WHERE alert_id = %s)",
}
"""For each message name: whether the rows that the message refers to are missing."""


class RedisMonitor(threading.Thread):
    """Counts the messages, and lists in `early` those that were sent before their commit.

    While Redis or PostgreSQL is away it waits; a message that cannot be checked is not counted.
    """

    def __init__(self, redis_url: str, database_url: str) -> None:
        super().__init__(daemon=True)
        self.redis_url = redis_url
        self.database_url = database_url
        self.messages = 0
        self.early: list[str] = []
        self._end = threading.Event()

    def run(self) -> None:
        """Read until `finish`."""
        while not self._end.is_set():
            try:
                with psycopg.connect(
                    self.database_url, connect_timeout=2, autocommit=True
                ) as connection:
                    self._read(connection)
            except (redis.RedisError, psycopg.Error):
                time.sleep(RECONNECT_PAUSE_S)

    def finish(self) -> None:
        """Stop reading."""
        self._end.set()
        self.join(10)

    def _read(self, connection: psycopg.Connection) -> None:
        client = redis.Redis.from_url(self.redis_url, socket_timeout=READ_TIMEOUT_S)
        with client, client.monitor() as monitor:
            while not self._end.is_set():
                message = read_message(monitor.next_command()["command"])
                if message is not None:
                    self._check(connection, *message)

    def _check(self, connection: psycopg.Connection, task: str, ids: list[int]) -> None:
        row = connection.execute(IS_MISSING[task], ids).fetchone()
        self.messages += 1
        if row is not None and row[0]:
            self.early.append(f"{task}{tuple(ids)}")


def read_message(command: str) -> tuple[str, list[int]] | None:
    """Read a task's name and ids from the command that queues it; None for other commands."""
    verb, _, rest = command.partition(" ")
    queue, _, body = rest.partition(" ")
    if verb != "LPUSH" or queue not in QUEUES:
        return None
    envelope: dict[str, Any] = json.loads(body)
    task = envelope["headers"]["task"]
    if task not in IS_MISSING:
        return None
    arguments = json.loads(base64.b64decode(envelope["body"]))[0]
    return task, [int(argument) for argument in arguments]
