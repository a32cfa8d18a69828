"""What Prometheus reads: every metric is defined here and nowhere else."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.actions import providers as provider_actions
from service.actions.outages import SILENCE_S
from service.broker.message_queues import MessageQueues
from service.outbox import QUEUES, STRANGERS_QUEUE
from service.store.operations import (
    apps,
    failing,
    gauges,
    heartbeats,
    holds,
    pauses,
    process_leases,
)
from service.store.session import transaction

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
UNROUTED = "(no route)"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others share one label, so that callers cannot create labels without end."""
OPEN_STATES = ("pending", "leased", "retrying")
APP = ("provider", "app")
"""The labels of an app's figures; a provider's default app has the provider's name."""


class Requests:
    """Counts the requests of one process and times them, by route and not by address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "newszop_http_requests_total",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "newszop_http_request_seconds",
            "Seconds until the answer started_at, by method and route.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        series = self._series.get((method, route, status))
        if series is None:
            answers = self.answers.labels(method, route, str(status))
            series = answers, self.seconds.labels(method, route)
            self._series[method, route, status] = series
        answers, duration = series
        answers.inc()
        duration.observe(seconds)


class CountRequests:
    """Reports each request to `Requests` when its answer begins, so a stream counts as quick."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.perf_counter()

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", UNROUTED)
                duration = time.perf_counter() - started_at
                method = scope["method"] if scope["method"] in METHODS else "other"
                self.requests.count(method, route, message["status"], duration)
            await send(message)

        await self.app(scope, receive, count_and_send)


def collect_gauges(engine: Engine, messages: MessageQueues, providers: Iterable[str]) -> bytes:
    """Return the present gauges in Prometheus' text form.

    Those of a part that does not answer are left out. `newszop_up` is 0 for a part that does not
    answer, and for a broker that takes no messages.
    """
    registry = CollectorRegistry()
    lengths = [
        (q.name, q.messages)
        for q in provider_actions.count_messages(messages)
        if q.messages is not None
    ]
    queues = [((name,), float(n)) for name, n in lengths]
    registry.register(_gauge("newszop_queue_messages", "Messages waiting.", ["queue"], queues))
    try:
        with transaction(engine) as session:
            store_gauges = list(_store_gauges(session, providers))
    except SQLAlchemyError:
        store_gauges = []
    for gauge in store_gauges:
        registry.register(gauge)
    up = [
        (("broker",), float(messages.explain_refusal() is None)),
        (("postgres",), float(bool(store_gauges))),
    ]
    registry.register(_gauge("newszop_up", "Whether a part works.", ["part"], up))
    return generate_latest(registry)


def _store_gauges(session: Session, providers: Iterable[str]) -> Iterator[Collector]:
    yield from _by_app(session, providers)
    yield from _signs_of_life(session)
    states = gauges.alerts_by_state(session).items()
    yield _gauge(
        "newszop_alerts", "Alerts.", ["state"], [((s.value,), float(n)) for s, n in states]
    )
    size = float(gauges.database_bytes(session))
    yield _gauge("newszop_database_bytes", "Bytes of the database on disk.", [], [((), size)])
    last = gauges.last_canary(session)
    age = [] if last is None else [((), (datetime.now(UTC) - last).total_seconds())]
    yield _gauge(
        "newszop_canary_age_seconds", "Seconds since the last canary; absent without one.", [], age
    )


def _by_app(session: Session, providers: Iterable[str]) -> Iterator[Collector]:
    """Yield the figures of each app: those of the table, the default ones, and no others."""
    known = apps.providers(session)
    waiting, pace = gauges.backlogs(session, (*providers, *known)), gauges.pace(session)
    names = sorted({*waiting, *pace, *(held := holds.held(session))})
    unusable = pauses.unusable(session, names)
    label = {name: (known.get(name, name), name) for name in names}
    yield _gauge(
        "newszop_deliveries",
        "Open deliveries; each is pending, leased or retrying.",
        [*APP, "state"],
        [((*label[n], state), _open(waiting, n, state)) for n in names for state in OPEN_STATES],
    )
    yield _gauge(
        "newszop_oldest_pending_seconds",
        "Seconds since the oldest open delivery was due.",
        APP,
        [(label[n], waiting[n].oldest_seconds if n in waiting else 0.0) for n in names],
    )
    yield _gauge(
        "newszop_accepted_per_second",
        "Pushes accepted, over the last minute.",
        APP,
        [(label[n], pace[n].accepted_per_second if n in pace else 0.0) for n in names],
    )
    yield _gauge(
        "newszop_error_share",
        "Share of the last minute's answered deliveries that are retrying or buried.",
        APP,
        [(label[n], p.error_share) for n, p in sorted(pace.items()) if p.error_share is not None],
    )
    causes = _failing(session, [n for n in names if n not in unusable], waiting, pace)
    yield _gauge(
        "newszop_failing",
        "1 while an app accepts nothing or fails more than half; absent while held or paused.",
        APP,
        [(label[n], value) for n, value in causes.items()],
    )
    states = [(label[n], float(n in held)) for n in names]
    yield _gauge("newszop_held", "1 while an app is held.", APP, states)


def _failing(
    session: Session,
    names: Iterable[str],
    waiting: Mapping[str, gauges.Waiting],
    pace: Mapping[str, gauges.Pace],
) -> dict[str, float]:
    failures, now = failing.failing_pushes(session), datetime.now(UTC)
    causes = {
        name: provider_actions.why_failing(
            waiting.get(name, gauges.Waiting(name=name)),
            pace.get(name, gauges.Pace(name=name)),
            failures.get(name),
            now,
        )
        for name in names
    }
    return {name: float(cause is not None) for name, cause in causes.items()}


def _signs_of_life(session: Session) -> Iterator[Collector]:
    paused = float(pauses.get(session) is not None)
    yield _gauge("newszop_paused", "1 while all sending is paused.", [], [((), paused)])
    ages = heartbeats.ages(session)
    yield _gauge(
        "newszop_worker_heartbeat_age_seconds",
        "Seconds since a worker was last seen; gone after a day.",
        ["worker"],
        [((name,), age) for name, age in ages.items()],
    )
    alive = heartbeats.alive(session, SILENCE_S)
    queues = (*QUEUES, STRANGERS_QUEUE)
    yield _gauge(
        "newszop_workers",
        "Workers that take messages from a queue now.",
        ["queue"],
        [((name,), float(sum(name in each.queues for each in alive))) for name in queues],
    )
    idle_s = process_leases.idle_seconds(session, process_leases.SWEEP)
    yield _gauge(
        "newszop_sweep_age_seconds",
        "Seconds since the last pass of the sweep; absent before the first.",
        [],
        [] if idle_s is None else [((), idle_s)],
    )


def _open(waiting: Mapping[str, gauges.Waiting], name: str, state: str) -> float:
    return float(getattr(waiting.get(name, gauges.Waiting(name=name)), state))


def _gauge(
    name: str,
    meaning: str,
    labels: Sequence[str],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Collector:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return _FixedGauge(family)


class _FixedGauge(Collector):
    def __init__(self, family: GaugeMetricFamily) -> None:
        self.family = family

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield self.family
