"""A pool of connections and the transfers on them: one libcurl multi handle.

Each lane has its own, so that what one lane may reach is never reached over another's connection,
and so that a lane that wants new connections simply gets a new pool while the old one runs dry.
"""

import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

import pycurl

from workers.network_guard import Guard, may_connect
from workers.provider import Answer, Request
from workers.senders.curl_transfer import Rules, Transfer
from workers.senders.origin import Origin

STREAMS_EXPECTED = 100
"""What many servers allow on one connection; a window beyond it may take more connections."""
_CORK = getattr(socket, "TCP_CORK", None)

Taken = list[tuple[Request, Answer]]


class Pool:
    """The connections of one lane since its last refresh."""

    def __init__(
        self, *, ca_path: str, timeout_s: float, guard: Guard | None, selector: selectors.BaseSelector
    ) -> None:
        self.guard = guard
        self.opened_at = time.monotonic()
        self.running: set[Transfer] = set()
        self._selector = selector
        self._sockets: dict[int, tuple[socket.socket, Origin]] = {}
        self._free: list[Transfer] = []
        self._rules = Rules(
            ca_path=ca_path,
            timeout_s=timeout_s,
            https_only=guard is not None,
            open_socket=self._open_socket,
            close_socket=self._close_socket,
        )
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._added = False

    def allow(self, window: int) -> None:
        """Let one connection carry the whole window, and a few more when the server says less."""
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, max(window, STREAMS_EXPECTED))
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, -(-window // STREAMS_EXPECTED))

    def hand(self, request: Request, origin: Origin) -> Answer | None:
        """Give libcurl a request; returns an answer at once if it cannot take it."""
        transfer = self._free.pop() if self._free else Transfer(self._rules)
        try:
            transfer.begin(request, origin)
        except (pycurl.error, UnicodeEncodeError, TypeError) as error:
            transfer.close()
            return Answer(0, failure=_forbidden(), detail=f"not a request: {type(error).__name__}")
        self._multi.add_handle(transfer)
        self.running.add(transfer)
        origin.handed += 1
        self._added = True
        return None
