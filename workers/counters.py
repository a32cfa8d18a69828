"""What this process has counted, for Prometheus: of workers, beat, and the gateway in them.

Each is a file's entry that a scrape reads; see `service/metrics/`. Nothing is written per push:
a stream adds up and writes a few times a second (`AnswerTally`).
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
    Verdict,
)
from service.metrics import definitions

REGISTRY = CollectorRegistry()
TASKS = definitions.PROCESS_TASKS.count(REGISTRY)
TASK_SECONDS = definitions.TASK_SECONDS.time(REGISTRY)
VERDICTS = definitions.PUSH_VERDICTS.count(REGISTRY)
PUSH_SECONDS = definitions.PUSH_SECONDS.time(REGISTRY)
PUSH_FAILURES = definitions.PUSH_FAILURES.count(REGISTRY)
IN_FLIGHT = definitions.PUSHES_IN_FLIGHT.gauge(REGISTRY)
CONNECTIONS = definitions.PROVIDER_CONNECTIONS.count(REGISTRY)
STREAMS = definitions.STREAMS.count(REGISTRY)
WRITE_SECONDS = definitions.WRITE_SECONDS.time(REGISTRY)
WRITE_FAILURES = definitions.WRITE_FAILURES.count(REGISTRY)
SWEEP_FAILURES = definitions.SWEEP_FAILURES.count(REGISTRY)
REPLICA_READS = definitions.REPLICA_READS.count(REGISTRY)
BEAT_MESSAGES = definitions.BEAT_MESSAGES.count(REGISTRY)

PUBLISH_S = 0.25
MOST_TIMED = 20
"""Answers timed between two publications: a sample says as much."""
VERDICT_NAMES: dict[type[Verdict], str] = {
    Accepted: "accepted",
    TryLater: "try_later",
    DeviceGone: "gone",
    DeviceRefused: "refused",
    AlertRejected: "alert_rejected",
    SenderRejected: "sender_rejected",
}


def count_replica_read(source: str) -> None:
    """Count a read that was meant for the replica, by who answered it."""
    REPLICA_READS.labels(source).inc()


@dataclass(slots=True)
class AnswerTally:
    """What one stream was answered since it last published."""

    verdicts: Counter[tuple[str, type[Verdict]]] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    timed: list[tuple[str, float]] = field(default_factory=list)
    published_at: float = 0.0

    def time_answer(self, provider: str, sent_at: float) -> None:
        """Keep how long an answer took, while the sample has room."""
        if len(self.timed) < MOST_TIMED:
            self.timed.append((provider, time.monotonic() - sent_at))

    def note_failure(self, provider: str, failure: str) -> None:
        """Count a request that got no answer."""
        self.failures[provider, failure.replace(" ", "_")] += 1

    def publish(self, in_flight: Iterable[tuple[str, int]], *, at_once: bool) -> None:
        """Write the sums where a scrape finds them; now, or when that is due."""
        now = time.monotonic()
        if not at_once and now - self.published_at < PUBLISH_S:
            return
        self.published_at = now
        for (provider, kind), count in self.verdicts.items():
            VERDICTS.labels(provider, VERDICT_NAMES[kind]).inc(count)
        for (provider, failure), count in self.failures.items():
            PUSH_FAILURES.labels(provider, failure).inc(count)
        for provider, seconds in self.timed:
            PUSH_SECONDS.labels(provider).observe(seconds)
        for provider, count in in_flight:
            IN_FLIGHT.labels(provider).set(count)
        self.verdicts.clear()
        self.failures.clear()
        self.timed.clear()
