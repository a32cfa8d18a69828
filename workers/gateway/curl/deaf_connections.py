"""Which of libcurl's connections is deaf: libcurl sends no PING, but says which port answered."""

import time

import pycurl

from workers.gateway.client_socket import LentSocket
from workers.gateway.curl.transfer import Transfer

SILENCE_S = 3.0
"""A request that is given up after so long without a sign speaks against its connection."""
SHARE_OF_TIMEOUT = 3
MOST_PORTS = 1_024


class DeafConnections:
    """When each connection was heard last, by its local port; `timeout_s` is a request's time."""

    def __init__(self, timeout_s: float) -> None:
        self.now = time.monotonic()
        """When the present turn began (monotonic)."""
        self._silence_s = min(SILENCE_S, timeout_s / SHARE_OF_TIMEOUT)
        self._heard_at: dict[int, float] = {}

    def hear(self, transfer: Transfer) -> None:
        """Note that the transfer's connection has brought an answer."""
        if len(self._heard_at) > MOST_PORTS:
            self._heard_at.clear()
        self._heard_at[transfer.handle.getinfo(pycurl.LOCAL_PORT)] = self.now

    def deaf_port(self, transfer: Transfer, code: int) -> int:
        """Return the port of a failed transfer's connection if it is deaf; 0 if it is not."""
        if code != pycurl.E_OPERATION_TIMEDOUT:
            return 0
        return self._silent_port(transfer)

    def abandoned_port(self, transfer: Transfer) -> int:
        """Return the port of an abandoned transfer's connection if it may be deaf; else 0."""
        if self.now - transfer.handed_at < self._silence_s:
            return 0
        return self._silent_port(transfer)

    def _silent_port(self, transfer: Transfer) -> int:
        port = int(transfer.handle.getinfo(pycurl.LOCAL_PORT)) if transfer.body_position else 0
        return 0 if self._heard_at.get(port, 0.0) > transfer.handed_at else port


def shut_down(ports: set[int], sockets: list[LentSocket]) -> None:
    """Shut the connections down; libcurl then sees that they are dead."""
    if ports - {0}:
        for each in sockets:
            if each.local_port() in ports:
                each.shut_down()
