"""A stand-in of a transaction pooler: it refuses what pgbouncer refuses, and passes on the rest."""

import socket
import struct
import threading
from contextlib import closing, suppress
from urllib.parse import urlsplit

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
CODES = (SSL_REQUEST, GSS_REQUEST)


class StrictPooler:
    """Listens on loopback. `faults` are what clients did that a pooler cannot have.

    `round_trips` counts how often one client said something after an answer.
    """

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.faults: list[str] = []
        self.round_trips = 0
        self._has_answered = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), socket.create_connection(self._server) as server, suppress(OSError):
            packet = self._read_startup(client)
            if b"\0options\0" in packet:
                self.faults.append("options at the start")
                return
            server.sendall(packet)
            threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
            while True:
                kind, body = self._read_message(client)
                self.round_trips += self._has_answered
                self._has_answered = False
                if kind == b"P" and not body.startswith(b"\0"):
                    self.faults.append("a prepared statement")
                server.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _read_startup(self, client: socket.socket) -> bytes:
        while True:
            length, code = struct.unpack("!II", self._read(client, 8))
            if code not in CODES:
                return struct.pack("!II", length, code) + self._read(client, length - 8)
            client.sendall(b"N")

    def _read_message(self, client: socket.socket) -> tuple[bytes, bytes]:
        kind = self._read(client, 1)
        (length,) = struct.unpack("!I", self._read(client, 4))
        return kind, self._read(client, length - 4)

    def _read(self, client: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = client.recv(size - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                self._has_answered = True
                target.sendall(part)
