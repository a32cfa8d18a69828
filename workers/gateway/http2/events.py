"""What a connection reports of the bytes that it received."""

from dataclasses import dataclass

from workers.provider import Answer, Request

Answers = list[tuple[Request, Answer]]
"""Requests that are over: each with the server's answer, or with the reason why there is none."""


@dataclass(slots=True)
class ConnectionFailed:
    """The server broke a rule that ends the connection (RFC 9113, 5.4.1)."""

    reason: str
    goaway: bytes = b""
    """The frame that tells the server why, if it can still be sent (6.8)."""
