"""What Prometheus reads: every metric's name stands here and nowhere else."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
UNROUTED = "(no route)"


class Requests:
    """Counts the requests of one process and how long they took, by route and not by address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answered = Counter(
            "newszop_http_requests_total",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "newszop_http_request_seconds",
            "Seconds until the answer began, by method and route.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.answered.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class CountRequests:
    """Tells `Requests` of each request when its answer begins, so streams count as quick."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", UNROUTED)
                took = time.perf_counter() - began
                self.requests.count(scope["method"], route, message["status"], took)
            await send(message)

        await self.app(scope, receive, count_and_send)


def gauge(name: str, meaning: str, values: dict[tuple[str, ...], float], *labels: str) -> Collector:
    """Return a gauge that reads its values when it is scraped."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return _Once(family)


class _Once(Collector):
    def __init__(self, family: GaugeMetricFamily) -> None:
        self.family = family

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield self.family
