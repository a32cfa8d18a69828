"""The HTTP server of the site and the API: granian, with a bound on everything a stranger can hold.

    python -m service.http.server --host 127.0.0.1 --port 8000 --workers 1

A connection holds one of `MAX_CONNECTIONS` places of its process, so time takes it away from those
who do not use it: `HEADERS_MS` to the end of the headers, counted from the connection or from the
last answer (so it is the limit of keep-alive too), the limits of `body_deadline.py` to the end of
the body, `listener.UNREAD_MS` for an answer that nobody takes, and `slow_readers.py` for one that
somebody takes too slowly. HTTP/1.1 only: granian has no limit on the time until a connection
chooses its version, and no proxy or browser speaks HTTP/2 without TLS.

All processes share one listening socket, opened without SO_REUSEPORT. A second server on the same
port is therefore refused instead of getting half of the readers, and a process that is full leaves
new connections to the others.
"""

import argparse
import gc
import os
import resource
import socket
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]  # imported there for all
from granian.server.mp import MPServer

from service.cpu_priority import give_way
from service.http.connections.listener import BACKLOG, PortInUse, open_listener
from service.http.connections.slow_readers import SlowReaders
from service.logs import LogFormat, library_logging

APPLICATION = "service.app:from_environment"
LOGGER = "_granian"
MAX_CONNECTIONS = 4096
"""Connections one process holds; more wait in the backlog."""
HEADERS_MS = 10_000
"""Milliseconds from the connection, or the last answer, to the end of a request's headers."""
HEADERS_BYTES = 64 * 1024
SPARE_FILES = 512
"""Files of a process beside its connections: PostgreSQL, Redis, threads, static files."""
MAX_FILES = 65_536
STOP_S = 5


class Server(MPServer):
    """granian on a listener of ours."""

    def __init__(self, listener: socket.socket, **options: Any) -> None:
        host, port, *_ = listener.getsockname()
        super().__init__(APPLICATION, address=host, port=port, backlog=BACKLOG, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._listener.set_inheritable(True)
        # granian declares neither the attributes' types nor the holder's arguments
        self._sso = self._listener
        self._sfd = self._listener.fileno()  # type: ignore[assignment]
        self._shd = SocketHolder(self._sfd, False, self.backlog)  # type: ignore[assignment,call-arg]


def build_server(listener: socket.socket, workers: int) -> Server:
    """Return the server; it accepts nothing before its `serve()`."""
    level, log_format = log_settings(os.environ)
    return Server(
        listener,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,  # a sixth less CPU for each call than asyncio's own
        factory=True,
        websockets=False,
        workers=workers,
        workers_kill_timeout=STOP_S,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_MS, max_buffer_size=HEADERS_BYTES),
        backpressure=count_places(raise_file_limit()),
        log_level=LogLevels(level),
        log_dictconfig=library_logging(LOGGER, level, log_format),
    )


def log_settings(environment: Mapping[str, str]) -> tuple[str, LogFormat]:
    """Return the level and the form of log lines without loading all settings for them.

    A wrong one is refused by `newszop serve`, or by the application as it starts.
    """
    level = environment.get("NEWSZOP_LOG_LEVEL", "info")
    is_json = environment.get("NEWSZOP_LOG_FORMAT") == "json"
    return level if level in set(LogLevels) else "info", "json" if is_json else "text"


def load_application(target: str, *, port: int, gives_way: bool) -> Any:
    """Build the application of this process, `module:function`; then it may give way to others.

    It also begins to look for those who take answers too slowly.

    The garbage collector rests meanwhile: what is loaded stays, and to walk it again and again
    took a tenth of the start. It need not walk it later either, which shortens its pauses.
    """
    gc.disable()
    module, _, function = target.partition(":")
    application = getattr(import_module(module), function)()
    gc.freeze()
    gc.enable()
    SlowReaders(port).start()
    if gives_way:  # not before: on a busy machine it would load for minutes
        give_way()
    return application


def raise_file_limit() -> int:
    """Raise this process's limit of open files as far as it may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return MAX_FILES if soft == resource.RLIM_INFINITY else soft


def count_places(files: int) -> int:
    """Return how many connections a process may hold, so that accepting never fails for files."""
    return max(64, min(MAX_CONNECTIONS, files - SPARE_FILES))


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM or SIGINT. A port that is taken ends the program with one line."""
    parser = argparse.ArgumentParser(prog="python -m service.http.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--give-way", action="store_true", help="let other processes go first")
    options = parser.parse_args(arguments)
    try:
        listener = open_listener(options.host, options.port)
    except PortInUse as error:
        sys.exit(f"newszop: {error}; choose another by --port")
    except OSError as error:
        sys.exit(f"newszop: cannot listen on {options.host}:{options.port}: {error.strerror}")
    port = listener.getsockname()[1]
    loader = partial(load_application, port=port, gives_way=options.give_way)
    build_server(listener, options.workers).serve(target_loader=loader)


if __name__ == "__main__":
    main(sys.argv[1:])
