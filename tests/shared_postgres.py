"""One PostgreSQL for all test processes, which starts while the tests are collected.

To make a cluster and to migrate a database takes four seconds of a core. Here a process of its own
does both once; each test process has a copy of the migrated database. Without it, as when tests
run in one process, a server is started where a test asks for one.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Never

import psycopg

from service.demo.servers import run_temporarily
from service.store.migrate import migrate

TEMPLATE = "migrated"
URL_BYTES = 1024


class SharedPostgres:
    """The server, from the process that started it to those that this one forks."""

    url = ""
    """Of the server, without a database's name; empty while there is none."""
    _child = 0
    _until_end = -1
    _answer = -1

    def begin(self) -> None:
        """Let another process start it."""
        self._answer, answer = os.pipe()
        end, self._until_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._answer)
            os.close(self._until_end)
            _serve(answer, end)
        os.close(answer)
        os.close(end)

    def await_start(self) -> None:
        """Wait until it can be used; if it could not start, `url` stays empty."""
        if self._child:
            self.url = os.read(self._answer, URL_BYTES).decode()

    def create_database(self, name: str) -> str:
        """Make a migrated database; return its URL."""
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return f"{self.url}/{name}"

    def end(self) -> None:
        """Stop it and delete what it has kept."""
        if self._child:
            os.close(self._until_end)
            os.waitpid(self._child, 0)
            self._child, self.url = 0, ""


SHARED = SharedPostgres()


def _serve(answer: int, end: int) -> Never:
    """Run the server until the other end of a pipe is closed, also by the death of who holds it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and they end this
    try:
        with run_temporarily(without={"redis"}) as servers:
            url = servers.postgres.server_url
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {TEMPLATE}")
            migrate(f"{url}/{TEMPLATE}")
            os.write(answer, url.encode())
            os.read(end, 1)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must end here
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(0)
