"""A window kept full: the convenience that all gateways share."""

from collections.abc import Iterable, Iterator
from itertools import islice

from workers.gateway.contract import Gateway
from workers.provider import Answer, Request

LONGEST_WAIT_S = 1.0


def keep_full(
    gateway: Gateway, pool: str, requests: Iterable[Request]
) -> Iterator[tuple[Request, Answer]]:
    """Submit as room allows and yield answers as they come, until every request has its own."""
    rest = iter(requests)
    more = True
    while more or gateway.in_flight(pool):
        room = gateway.room(pool)
        for request in islice(rest, room):
            gateway.submit(pool, request)
            room -= 1
        more = more and room <= 0
        yield from gateway.poll(LONGEST_WAIT_S)
