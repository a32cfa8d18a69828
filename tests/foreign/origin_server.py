"""An HTTP/1.1 origin behind the foreign proxies: it writes down each request that arrives.

`python origin_server.py LOG BEHAVIOUR` prints its port. The number of a request (`/?n=17`) is
written when its head has arrived, so a request counts however it ends. Behaviours:

plain   answers when the body has arrived
early   answers as soon as the head has arrived, and then reads the body
hints   sends 103 Early Hints first, then as `plain`
long    answers with 20,000 bytes: more than a gateway keeps
"""

import asyncio
import sys
from pathlib import Path

LONG = 20_000
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


class Connection(asyncio.Protocol):
    """Reads requests one after another."""

    def __init__(self, log: Path, behaviour: str) -> None:
        self.log = log.open("ab", buffering=0)
        self.behaviour = behaviour
        self.received = bytearray()
        self.open_body = False
        self.chunked = False
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self.log.close()

    def data_received(self, data: bytes) -> None:
        self.received += data
        while self._read_body() if self.open_body else self._read_head():
            pass

    def _read_head(self) -> bool:
        head, end, rest = bytes(self.received).partition(b"\r\n\r\n")
        if not end:
            return False
        self.received = bytearray(rest)
        lines = head.split(b"\r\n")
        self.log.write(lines[0].split(b" ")[1] + b"\n")
        headers = dict(line.lower().split(b":", 1) for line in lines[1:])
        self.chunked = b"chunked" in headers.get(b"transfer-encoding", b"")
        self.missing = int(headers.get(b"content-length", b"0"))
        self.open_body = True
        if self.behaviour == "early":
            self._answer()
        return True

    def _read_body(self) -> bool:
        """Return whether the body has ended."""
        while True:
            taken = min(self.missing, len(self.received))
            del self.received[:taken]
            self.missing -= taken
            if self.missing:
                return False
            if not self.chunked:
                break
            size, end, _ = bytes(self.received.lstrip(b"\r\n")).partition(b"\r\n")
            if not end:
                return False
            del self.received[: self.received.index(size) + len(size) + 2]
            self.missing = int(size, 16)
            if self.missing == 0:
                # the empty line after the last chunk; none of the proxies sends trailers
                self.chunked, self.missing = False, 2
        self.open_body = False
        if self.behaviour != "early":
            self._answer()
        return True

    def _answer(self) -> None:
        body = b"x" * (LONG if self.behaviour == "long" else 20)
        hints = HINTS if self.behaviour == "hints" else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(hints + head % len(body) + body)


async def main(log: Path, behaviour: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(log, behaviour), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
