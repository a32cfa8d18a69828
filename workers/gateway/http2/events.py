"""What a connection reports of the bytes that it received: a closed set."""

from dataclasses import dataclass

from workers.provider import Answer, Request

StreamEnded = tuple[Request, Answer]
"""A request is over: with the server's answer, or with the reason why there is none. A plain tuple,
for there is one for every push."""


@dataclass(slots=True)
class ConnectionFailed:
    """The server broke a rule that ends the connection (RFC 9113, 5.4.1): the last event."""

    reason: str
    goaway: bytes = b""
    """The frame that tells the server why, if it can still be sent (6.8)."""


@dataclass(slots=True)
class NotTaken:
    """The server ends the connection in peace, and has not looked at this request (6.8)."""

    request: Request


Event = StreamEnded | NotTaken | ConnectionFailed
