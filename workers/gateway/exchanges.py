"""The requests of one caller, each with the context that its answer will need."""

from collections.abc import Collection
from typing import Generic, TypeVar

from workers.gateway.contract import Gateway
from workers.provider import Answer, Request

C = TypeVar("C")


class Exchanges(Generic[C]):
    """A view of the gateway for one caller at a time: contexts go in, and come back with answers.

    The gateway gives back the very request that it was given, so the context is found by the
    request's identity: a request is in flight once.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._contexts: dict[int, C] = {}

    def room(self, pool: str) -> int:
        """Return how many more requests may be submitted now."""
        return self._gateway.room(pool)

    def submit(self, pool: str, request: Request, context: C) -> None:
        """Take a request to send as soon as may be; its context comes from `poll`."""
        self._contexts[id(request)] = context
        self._gateway.submit(pool, request)

    def poll(self, timeout: float) -> list[tuple[C, Answer]]:
        """Send and receive; return as soon as there are answers, at the latest after `timeout`."""
        context = self._contexts.pop
        return [(context(id(request)), answer) for request, answer in self._gateway.poll(timeout)]

    def leave_until(self, moment: float) -> None:
        """Let nothing that waits leave after this moment (monotonic)."""
        self._gateway.leave_until(moment)

    def in_flight(self) -> int:
        """Return how many requests have not been answered."""
        return len(self._contexts)

    def refresh(self, pool: str) -> None:
        """Send the pool's later requests on new connections; those in flight stay on theirs."""
        self._gateway.refresh(pool)

    def recall(self, pool: str, origins: Collection[str] | None = None) -> list[C]:
        """Take back what has not left; its context comes from here instead of from `poll`."""
        return [self._contexts.pop(id(request)) for request in self._gateway.recall(pool, origins)]

    def abandon(self) -> list[C]:
        """Stop waiting: return what was in flight, each with an outcome that nobody knows."""
        contexts = list(self._contexts.values())
        self._contexts.clear()
        self._gateway.abandon()
        return contexts
