"""Keeping a window full: the convenience that both senders share."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from workers.provider import Answer, Request

if TYPE_CHECKING:
    from workers.gateway.contract import Gateway

LONGEST_WAIT_S = 1.0


def keep_full(
    gateway: "Gateway", lane: str, requests: Iterable[Request]
) -> Iterator[tuple[Request, Answer]]:
    """Submit as room allows and yield answers as they come, until every request has its own."""
    coming = iter(requests)
    more = True
    while more or gateway.in_flight(lane):
        room = gateway.room(lane)
        for request in islice(coming, room):
            gateway.submit(lane, request)
            room -= 1
        more = more and room <= 0
        yield from gateway.poll(LONGEST_WAIT_S)
