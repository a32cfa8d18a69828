"""What the service reports to Prometheus: its requests, and the state of the whole system."""

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from service.actions import providers as provider_actions
from service.actions.outages import SILENCE_S
from service.broker.message_queues import MessageQueues
from service.metrics import definitions
from service.metrics.definitions import Metric
from service.metrics.request_tallies import RequestTallies
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

METHODS = frozenset(definitions.METHODS)
"""Others share one label, so that callers cannot create labels without end."""
OPEN_STATES = definitions.CLOSED[definitions.DELIVERIES.name]["state"]


class Requests:
    """Counts the requests of one process and times them, by route and not by address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = definitions.HTTP_REQUESTS.count(registry)
        self.seconds = definitions.HTTP_SECONDS.time(registry)
        self.tallies = RequestTallies(self.answers, self.seconds)
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
    registry.register(_gauge(definitions.QUEUE_MESSAGES, queues))
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
    registry.register(_gauge(definitions.UP, up))
    return generate_latest(registry)


def _store_gauges(session: Session, providers: Iterable[str]) -> Iterator[Collector]:
    yield from _by_app(session, providers)
    yield from _signs_of_life(session)
    states = gauges.alerts_by_state(session).items()
    yield _gauge(definitions.ALERTS, [((s.value,), float(n)) for s, n in states])
    size = float(gauges.database_bytes(session))
    yield _gauge(definitions.DATABASE_BYTES, [((), size)])
    last = gauges.last_canary(session)
    age = [] if last is None else [((), (datetime.now(UTC) - last).total_seconds())]
    yield _gauge(definitions.CANARY_AGE, age)


def _by_app(session: Session, providers: Iterable[str]) -> Iterator[Collector]:
    """Yield the figures of each app: those of the table, the default ones, and no others."""
    known = apps.providers(session)
    waiting, pace = gauges.backlogs(session, (*providers, *known)), gauges.pace(session)
    names = sorted({*waiting, *pace, *(held := holds.held(session))})
    unusable = pauses.unusable(session, names)
    label = {name: (known.get(name, name), name) for name in names}
    yield _gauge(
        definitions.DELIVERIES,
        [((*label[n], state), _open(waiting, n, state)) for n in names for state in OPEN_STATES],
    )
    yield _gauge(
        definitions.OLDEST_PENDING,
        [(label[n], waiting[n].oldest_seconds if n in waiting else 0.0) for n in names],
    )
    yield _gauge(
        definitions.ACCEPTED_PER_SECOND,
        [(label[n], pace[n].accepted_per_second if n in pace else 0.0) for n in names],
    )
    yield _gauge(
        definitions.ERROR_SHARE,
        [(label[n], p.error_share) for n, p in sorted(pace.items()) if p.error_share is not None],
    )
    usable = [n for n in names if n not in unusable]
    yield from _conditions(label, held, _failing(session, usable, waiting, pace))


def _conditions(
    label: Mapping[str, tuple[str, str]], held: Container[str], causes: Mapping[str, float]
) -> Iterator[Collector]:
    failing_apps = [(label[name], value) for name, value in causes.items()]
    yield _gauge(definitions.FAILING, failing_apps)
    held_apps = [(key, float(name in held)) for name, key in label.items()]
    yield _gauge(definitions.HELD, held_apps)


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
    yield _gauge(definitions.PAUSED, [((), paused)])
    ages = heartbeats.ages(session)
    yield _gauge(
        definitions.HEARTBEAT_AGE,
        [((name,), age) for name, age in ages.items()],
    )
    alive = heartbeats.alive(session, SILENCE_S)
    queues = (*QUEUES, STRANGERS_QUEUE)
    yield _gauge(
        definitions.WORKERS,
        [((name,), float(sum(name in each.queues for each in alive))) for name in queues],
    )
    idle_s = process_leases.idle_seconds(session, process_leases.SWEEP)
    yield _gauge(
        definitions.SWEEP_AGE,
        [] if idle_s is None else [((), idle_s)],
    )


def _open(waiting: Mapping[str, gauges.Waiting], name: str, state: str) -> float:
    return float(getattr(waiting.get(name, gauges.Waiting(name=name)), state))


def _gauge(metric: Metric, values: Iterable[tuple[tuple[str, ...], float]]) -> Collector:
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for key, value in values:
        family.add_metric(key, value)
    return _FixedGauge(family)


class _FixedGauge(Collector):
    def __init__(self, family: GaugeMetricFamily) -> None:
        self.family = family

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield self.family
