"""The socket under an HTTP/2 connection: bytes in and out over TLS, without blocking."""

import ssl
from contextlib import suppress

READ_SIZE = 64 * 1024
RECORD_SIZE = 16 * 1024
"""The most that TLS encrypts at once (RFC 8446, 5.1). Of a longer buffer it sends whole records
and still reports that it could not take the buffer."""
READS_AT_ONCE = 64
"""Most reads in a row: then the other connections have their turn. All that they bring is in memory
at once, as frames."""


class TlsTransport:
    """A TLS socket whose handshake is done and which does not block."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.offered_bytes = 0
        """Bytes that were offered to TLS: they may have left. The others certainly have not."""
        self.closed = False
        self.has_more = False
        """Whether there was more to read than one turn allows."""
        self._tls = tls
        self._parts: list[bytes] = []
        self._rest = memoryview(b"")
        self._record = memoryview(b"")
        """The beginning of `_rest` that was offered and not taken."""

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._tls.fileno()

    def read(self, parts: list[bytes]) -> None:
        """Add what has come to `parts`. Raises OSError at the end of the connection."""
        receive = self._tls.recv
        self.has_more = True
        for _ in range(READS_AT_ONCE):
            try:
                data = receive(READ_SIZE)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.has_more = False
                return
            if not data:
                raise ConnectionResetError
            parts.append(data)

    def write(self, data: bytes) -> None:
        """Send the bytes as far as TLS takes them; the rest waits. Raises OSError."""
        if data:
            self._parts.append(data)
        try:
            while self._rest or self._parts:
                if not self._rest:
                    self._rest = memoryview(b"".join(self._parts))
                    self._parts.clear()
                # A record that TLS did not take must be offered again as it was.
                record = self._record or self._rest[:RECORD_SIZE]
                if not self._record:
                    self._record = record
                    self.offered_bytes += len(record)
                count = self._tls.send(record)
                self._record = record[count:]
                self._rest = self._rest[count:]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return

    def has_unsent(self) -> bool:
        """Whether TLS has not taken everything yet."""
        return bool(self._rest or self._parts)

    def close(self, last: bytes = b"") -> None:
        """Close the socket; before that send `last`, if nothing else waits to be sent."""
        self.closed = True
        with suppress(OSError):
            if last and not self.has_unsent():
                self.write(last)
        with suppress(OSError):
            self._tls.close()
