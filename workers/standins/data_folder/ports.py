"""The ports of the stand-ins: chosen once and saved, because push endpoints contain their port."""

import json
import random
import socket
from pathlib import Path

from workers.standins.data_folder.key_files import write_private
from workers.standins.servers.steady_server import HOST

PORT_RANGE = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections, so that they stay free."""
RANDOM_TRIES = 20


class Ports:
    """The ports of one folder's stand-ins, the same at every start while they are free."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._by_name: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
        self._sockets: list[socket.socket] = []

    def choose(self, name: str) -> int:
        """Return a port to serve `name` at; it is reserved until `save`."""
        at_random = [random.choice(PORT_RANGE) for _ in range(RANDOM_TRIES)]  # noqa: S311  # no secret
        previous_port = [self._by_name[name]] if name in self._by_name else []
        for port in (*previous_port, *at_random, 0):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                listener.close()
                continue
            self._sockets.append(listener)
            self._by_name[name] = int(listener.getsockname()[1])
            break
        return self._by_name[name]

    def choose_and_save(self, name: str) -> int:
        """Choose one port and save it at once."""
        port = self.choose(name)
        self.save()
        return port

    def save(self) -> None:
        """Write the chosen ports to the file and release them."""
        write_private(self._path, json.dumps(self._by_name).encode())
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
