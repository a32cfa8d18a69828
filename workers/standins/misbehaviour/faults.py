"""What can go wrong with one request, and with one connection."""

from dataclasses import dataclass, fields
from enum import StrEnum


class FaultKind(StrEnum):
    """What a share can deal out, in the order in which it divides the range of the draw."""

    TOO_MANY = "429"
    FAILED = "500"
    UNAVAILABLE = "503"
    GONE = "gone"
    """The device's address is dead."""
    GONE_LATER = "gone_later"
    """The same, known only to a receipt where the provider has receipts."""
    REFUSED = "refused"
    """This push is not accepted, and the device is not said to be dead."""
    RESET = "reset"
    """The stream is reset before the push is accepted."""
    LOST = "lost"
    """The push is accepted, then the stream is reset: the answer is lost."""
    REFUSED_STREAM = "refused_stream"
    DISCONNECT = "disconnect"
    """The whole connection is cut before the push is accepted."""
    HANG = "hang"
    """Nothing is accepted and no answer comes."""


CONNECTION_KINDS = frozenset(
    {FaultKind.RESET, FaultKind.LOST, FaultKind.REFUSED_STREAM, FaultKind.DISCONNECT}
)
"""Faults that only the breaking server can deal out."""
DEVICE_KINDS = frozenset({FaultKind.GONE, FaultKind.GONE_LATER, FaultKind.REFUSED})
"""Faults of one device among several in a request."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one request: a kind, or a scripted answer with its status and body."""

    kind: FaultKind | None = None
    status: int = 0
    body: bytes | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionFaults:
    """The faults of a connection; None: not that one."""

    goaway: int | None = None
    """GOAWAY after so many requests on one connection."""
    streams: int | None = None
    """The most concurrent streams that are announced and accepted."""
    half_close: int | None = None
    """After so many requests the server closes its side, and reads on without answering."""
    early_answers: bool | None = None
    """A success is sent, complete, before the request's body has been read."""
    long_bodies: int | None = None
    """So many spaces follow every answer's body; JSON ignores them."""
    late_window_updates: int | None = None
    """A WINDOW_UPDATE of so many bytes follows the end of every answer's stream."""
    send_buffer: int | None = None
    """Bytes of the socket's send buffer: answers leave in small pieces."""
    receive_buffer: int | None = None
    """Bytes of the socket's receive buffer: the client can send in small pieces only."""

    def with_defaults(self, other: "ConnectionFaults") -> "ConnectionFaults":
        """Return these faults; what is None here is taken from `other`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return ConnectionFaults(
            **{
                name: getattr(other, name) if value is None else value
                for name, value in values.items()
            }
        )
