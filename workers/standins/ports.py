"""Where the stand-ins listen: chosen once, and kept, for endpoints name their port."""

import json
import random
import socket
from pathlib import Path

from workers.standins.key_files import write_private
from workers.standins.servers.steady_server import HOST

QUIET_PORTS = range(20_000, 32_000)
"""Below those that systems hand out to outgoing connections, so that they stay free."""
TRIES = 20


class Ports:
    """The ports of one folder's stand-ins, the same from start to start while they are free."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
        self._held: list[socket.socket] = []

    def choose(self, name: str) -> int:
        """Return a port to serve `name` at; it is held until `keep`."""
        at_random = [random.choice(QUIET_PORTS) for _ in range(TRIES)]  # noqa: S311  # no secret
        for port in (self._known.get(name, 0), *at_random, 0):
            held = socket.socket()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                held.bind((HOST, port))
            except OSError:
                held.close()
                continue
            self._held.append(held)
            self._known[name] = int(held.getsockname()[1])
            break
        return self._known[name]

    def settle(self, name: str) -> int:
        """Choose one port and keep it at once."""
        port = self.choose(name)
        self.keep()
        return port

    def keep(self) -> None:
        """Write the chosen ports down and let go of them."""
        write_private(self._path, json.dumps(self._known).encode())
        for held in self._held:
            held.close()
        self._held.clear()
