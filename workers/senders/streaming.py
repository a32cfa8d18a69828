"""Keeping a window full: the convenience that both senders share."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from workers.provider import Answer, Request

if TYPE_CHECKING:
    from workers.gateway import Gateway

LONGEST_WAIT_S = 1.0


def keep_full(
    gateway: "Gateway", lane: str, requests: Iterable[Request]
) -> Iterator[tuple[Request, Answer]]:
    """Submit as room allows and yield answers as they come, until every request has its own."""
    coming = iter(requests)
    more = True
    while more or gateway.in_flight(lane):
        while more and gateway.room(lane) > 0:
            request = next(coming, None)
            if request is None:
                more = False
            else:
                gateway.submit(lane, request)
        yield from gateway.poll(LONGEST_WAIT_S)
