"""The socket under an HTTP/2 connection: what the peer may have seen of what was written."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.workers.certificates import Certificate
from workers.gateway.http2.tls_transport import RECORD_SIZE, TlsTransport

SEND_BUFFER = 128 * 1024


class SlowReader:
    """The other end of a TLS connection, which reads only when it is told to."""

    def __init__(self, raw: socket.socket, certificate: Certificate) -> None:
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.plain = bytearray()
        """What was decrypted so far."""

    def take(self) -> None:
        """Read and decrypt all that has arrived."""
        with suppress(BlockingIOError):
            while data := self._raw.recv(1 << 20):
                self._incoming.write(data)
        with suppress(ssl.SSLWantReadError):
            while True:
                self.plain += self._tls.read(1 << 20)

    def shake_hands(self) -> None:
        with suppress(BlockingIOError):
            self._incoming.write(self._raw.recv(1 << 20))
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._raw.sendall(self._outgoing.read())


@pytest.fixture
def ends(certificate: Certificate) -> Iterator[tuple[TlsTransport, SlowReader]]:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    ours.setblocking(False)
    theirs.setblocking(False)
    reader = SlowReader(theirs, certificate)
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    tls = context.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False)
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        reader.shake_hands()
    transport = TlsTransport(tls)
    yield transport, reader
    transport.close()
    theirs.close()


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_what_was_not_offered_has_certainly_not_left(
    ends: tuple[TlsTransport, SlowReader], size: int
) -> None:
    """TLS sends whole records and still says that it could not take the buffer."""
    transport, reader = ends

    transport.write(b"x" * size)
    reader.take()

    assert 0 < len(reader.plain) <= transport.offered_bytes
    assert transport.offered_bytes - len(reader.plain) <= RECORD_SIZE


def test_what_was_written_arrives_whole_and_in_order(
    ends: tuple[TlsTransport, SlowReader],
) -> None:
    transport, reader = ends

    transport.write(b"x" * 1_000_000)
    transport.write(b"y" * 1_000_000)
    while transport.has_unsent():
        reader.take()
        transport.write(b"")
    reader.take()

    assert reader.plain == b"x" * 1_000_000 + b"y" * 1_000_000
    assert transport.offered_bytes == 2_000_000
