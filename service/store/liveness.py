"""Whether Postgres answers at all: what no timeout of the server or of TCP can tell.

A frozen server keeps its connections open, and its kernel goes on acknowledging what we send:
`statement_timeout` is the server's own, keepalives and TCP's user timeout are satisfied, and a
unix socket knows neither. So the bound is ours: whoever has heard nothing for `PATIENCE_S` asks,
on a new connection, whether the server lives. If it does, a slow statement may take its time. If
not, all who wait on this engine stop waiting, and whoever comes is refused at once, but for one
every `REST_S` who tries again.
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
"""How often whoever waits looks up; psycopg's own interval."""


class ServerSilent(psycopg.OperationalError):
    """The server keeps the connection and says nothing; what was asked may have been done."""


class Pulse:
    """What the connections of one engine know together of their server."""

    def __init__(self) -> None:
        self.silent = False
        self._asking = threading.Lock()
        self._ask_again_at = 0.0
        self._heard_at = float("-inf")

    def connect(self, parameters: Mapping[str, Any]) -> "Listening":
        """Connect; raises at once while the server is silent and somebody has just tried."""
        if not self.silent:
            return self._connect(parameters)
        if monotonic() < self._ask_again_at or not self._asking.acquire(blocking=False):
            raise ServerSilent("the server did not answer a moment ago")
        try:
            return self._connect(parameters)
        finally:
            self._asking.release()

    def is_lost(self, since: float, parameters: Mapping[str, Any]) -> bool:
        """Whether who has heard nothing `since` then waits in vain; asks the server in time."""
        silent_s = monotonic() - max(since, self._heard_at)
        if not self.silent and silent_s >= PATIENCE_S and self._asking.acquire(blocking=False):
            try:
                with suppress(psycopg.Error):  # a refusal is an answer, too
                    self._connect(parameters).close()
            finally:
                self._asking.release()
        return self.silent

    def heard(self) -> None:
        """Take note that the server said something, to whomever."""
        self.silent, self._heard_at = False, monotonic()

    def _connect(self, parameters: Mapping[str, Any]) -> "Listening":
        try:
            connection = Listening.connect(**parameters)
        except ConnectionTimeout:
            if monotonic() - self._heard_at >= PATIENCE_S:
                self.silent, self._ask_again_at = True, monotonic() + REST_S
            raise
        except psycopg.Error:
            self.heard()
            raise
        self.heard()
        connection.listen(self, parameters)
        return connection


class Listening(psycopg.Connection[Any]):
    """A connection that waits as long as its server lives, and not for ever."""

    _pulse: Pulse | None = None
    _parameters: Mapping[str, Any]

    def listen(self, pulse: Pulse, parameters: Mapping[str, Any]) -> None:
        """From now on give up when `pulse` says that the server is lost."""
        self._pulse, self._parameters = pulse, parameters

    def wait(self, gen: PQGen[T], interval: float = TICK_S, timeout: float | None = None) -> T:
        """Wait for an answer; raises `ServerSilent`, and closes, when there is none to come."""
        pulse = self._pulse
        if pulse is None:
            return super().wait(gen, interval, timeout)
        if pulse.silent:
            self._give_up()
        return super().wait(self._while_it_lives(gen, pulse), interval, timeout)

    def _while_it_lives(self, gen: PQGen[T], pulse: Pulse) -> Generator[Any, Any, T]:
        """Pass on what the operation asks for; psycopg sends nothing ready at every tick."""
        since = monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    pulse.heard()
                elif pulse.is_lost(since, self._parameters):
                    self._give_up()
                wanted = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value

    def _give_up(self) -> None:
        self.pgconn.finish()
        raise ServerSilent("the server keeps the connection and does not answer")


def listen(engine: Engine) -> None:
    """Let the engine's connections share a pulse."""
    pulse = Pulse()

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> Listening:
        return pulse.connect(dict(parameters))
