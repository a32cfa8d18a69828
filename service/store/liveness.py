"""Whether Postgres answers at all: what no timeout of the server or of TCP can say.

A frozen server keeps its connections open, and its kernel goes on acknowledging what we send:
`statement_timeout` is the server's own, keepalives and TCP's user timeout are satisfied, and a
unix socket knows neither. So the limit is ours. A call that has heard nothing for `PATIENCE_S`
asks, on a new connection, whether the server lives. If it does, a slow statement may take its
time. If not, all calls that wait on this engine give up, and new ones are refused at once, but
for one every `REST_S` that tries again.
"""

import threading
from collections.abc import Generator, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Engine, event

T = TypeVar("T")
PATIENCE_S = 1.0
REST_S = 0.5
TICK_S = 0.1
"""How often a waiting call checks; psycopg's own interval."""


class ServerSilent(psycopg.OperationalError):
    """The server keeps the connection and says nothing; the statement may have been carried out."""


class ServerState:
    """What the connections of one engine know together of their server."""

    def __init__(self) -> None:
        self.silent = False
        self._asking = threading.Lock()
        self._ask_again_at = 0.0
        self._heard_at = float("-inf")

    def connect(self, parameters: Mapping[str, Any]) -> "WatchedConnection":
        """Connect; raises at once while the server is silent and another call has just tried."""
        if not self.silent:
            return self._connect(parameters)
        if monotonic() < self._ask_again_at or not self._asking.acquire(blocking=False):
            raise ServerSilent("the server did not answer a moment ago")
        try:
            return self._connect(parameters)
        finally:
            self._asking.release()

    def is_lost(self, since: float, parameters: Mapping[str, Any]) -> bool:
        """Whether a call that has heard nothing `since` then waits in vain; it asks in time."""
        silent_s = monotonic() - max(since, self._heard_at)
        if not self.silent and silent_s >= PATIENCE_S and self._asking.acquire(blocking=False):
            try:
                with suppress(psycopg.Error):  # a refusal is an answer too
                    self._connect(parameters).close()
            finally:
                self._asking.release()
        return self.silent

    def note_answer(self) -> None:
        """Note that the server answered some connection."""
        self.silent, self._heard_at = False, monotonic()

    def _connect(self, parameters: Mapping[str, Any]) -> "WatchedConnection":
        try:
            connection = WatchedConnection.connect(**parameters)
        except ConnectionTimeout:
            if monotonic() - self._heard_at >= PATIENCE_S:
                self.silent, self._ask_again_at = True, monotonic() + REST_S
            raise
        except psycopg.Error:
            self.note_answer()
            raise
        self.note_answer()
        connection.watch(self, parameters)
        return connection


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that waits as long as its server lives, and no longer."""

    _server: ServerState | None = None
    _parameters: Mapping[str, Any]
    _heard_at = float("-inf")

    def watch(self, server: ServerState, parameters: Mapping[str, Any]) -> None:
        """From now on give up when the server is lost."""
        self._server, self._parameters = server, parameters

    def was_heard_within(self, seconds: float) -> bool:
        """Whether this connection has brought an answer so lately."""
        return monotonic() - self._heard_at < seconds

    def wait(self, gen: PQGen[T], interval: float = TICK_S, timeout: float | None = None) -> T:
        """Wait for an answer; raises `ServerSilent`, and closes, when there is none to come."""
        server = self._server
        if server is None:
            return super().wait(gen, interval, timeout)
        if server.silent:
            self._give_up()
        return super().wait(self._while_it_lives(gen, server), interval, timeout)

    def _while_it_lives(self, gen: PQGen[T], server: ServerState) -> Generator[Any, Any, T]:
        """Pass on what the operation asks for; psycopg sends nothing ready at every tick."""
        since = monotonic()
        try:
            readiness = next(gen)
            while True:
                ready = yield readiness
                if ready:
                    server.note_answer()
                    self._heard_at = monotonic()
                elif server.is_lost(since, self._parameters):
                    self.pgconn.finish()
                    with suppress(psycopg.Error):  # a pipeline would fetch what is left
                        gen.close()
                    self._give_up()
                readiness = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value

    def _give_up(self) -> None:
        self.pgconn.finish()
        raise ServerSilent("the server keeps the connection and does not answer")


def watch(engine: Engine, ping_after_s: float = 0.0) -> None:
    """Let the engine's connections share what they know of the server.

    One that was heard within `ping_after_s` is used again without a ping, which is a round trip.
    """
    server = ServerState()
    ping = engine.dialect.do_ping

    def ping_if_silent(connection: Any) -> bool:
        return connection.was_heard_within(ping_after_s) or ping(connection)

    if ping_after_s:
        engine.dialect.do_ping = ping_if_silent  # type: ignore[method-assign,assignment]  # of this engine

    @event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]
    ) -> WatchedConnection:
        return server.connect(dict(parameters))
