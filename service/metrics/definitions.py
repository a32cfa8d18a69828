"""Every metric: its name, its meaning and its labels. None is defined anywhere else.

The values of a label are a closed set (`CLOSED`), or grow only with what an administrator adds
(`OPEN`): an app, a worker, a route of ours. No label has an address, an id or a word of a caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
TASKS = ("plan_alert", "fan_out_shard", "deliver", "deliver_strangers", "sweep")
VERDICTS = ("accepted", "try_later", "gone", "refused", "alert_rejected", "sender_rejected")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")

CLOSED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "newszop_queue_messages": {"queue": ("urgent", "normal", "strangers")},
    "newszop_workers": {"queue": ("urgent", "normal", "strangers")},
    "newszop_up": {"part": ("broker", "postgres")},
    "newszop_deliveries": {"state": ("pending", "leased", "retrying")},
    "newszop_alerts": {
        "state": ("scheduled", "planning", "sending", "finished", "stopped", "expired")
    },
    "newszop_http_requests": {"method": METHODS},
    "newszop_http_request_seconds": {"method": METHODS},
    "newszop_tasks": {"task": TASKS, "outcome": ("done", "failed")},
    "newszop_task_seconds": {"task": TASKS},
    "newszop_push_verdicts": {"verdict": VERDICTS},
    "newszop_push_failures": {"failure": ("not_sent", "unknown", "forbidden")},
    "newszop_provider_connections": {"outcome": ("opened", "failed")},
    "newszop_streams": {"end": ("empty", "over", "yielded", "lost", "failed")},
    "newszop_sweep_failures": {
        "search": (
            "expire",
            "cancel_stopped",
            "cancel_rejected",
            "finish",
            "resend",
            "start_due",
            "follow_apps",
            "chore",
        )
    },
    "newszop_beat_messages": {"outcome": ("sent", "not_sent")},
    "newszop_replica_reads": {"source": ("replica", "lagging", "away")},
    "newszop_feed_polls": {"outcome": ("done", "failed")},
}
OPEN = frozenset({"provider", "app", "worker", "route", "status"})
APP = ("provider", "app")
"""The labels of an app's figures; a provider's default app has the provider's name."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric without its values. A counter's series has `_total` behind its name."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    def count(self, registry: CollectorRegistry) -> Counter:
        """Return a counter; series whose labels are all closed begin at 0."""
        counter = Counter(self.name, self.meaning, self.labels, registry=registry)
        for values in self._closed_series():
            counter.labels(*values)
        return counter

    def time(self, registry: CollectorRegistry) -> Histogram:
        """Return a histogram of seconds."""
        histogram = Histogram(
            self.name, self.meaning, self.labels, buckets=SECONDS, registry=registry
        )
        for values in self._closed_series():
            histogram.labels(*values)
        return histogram

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """Return a gauge whose value is the sum over the processes that live."""
        return Gauge(
            self.name, self.meaning, self.labels, registry=registry, multiprocess_mode="livesum"
        )

    def _closed_series(self) -> list[tuple[str, ...]]:
        closed = CLOSED.get(self.name, {})
        if not self.labels or any(label not in closed for label in self.labels):
            return []
        return list(product(*(closed[label] for label in self.labels)))


# The service's processes.
HTTP_REQUESTS = Metric(
    "newszop_http_requests",
    "Requests answered, by method, route and status.",
    ("method", "route", "status"),
)
HTTP_SECONDS = Metric(
    "newszop_http_request_seconds",
    "Seconds until the answer began, by method and route.",
    ("method", "route"),
)

# The workers, all kinds of them.
PROCESS_TASKS = Metric("newszop_tasks", "Messages worked on.", ("task", "outcome"))
TASK_SECONDS = Metric("newszop_task_seconds", "Seconds that a message took.", ("task",))
PUSH_VERDICTS = Metric(
    "newszop_push_verdicts", "Pushes answered, by what it means.", ("app", "verdict")
)
PUSH_SECONDS = Metric(
    "newszop_push_seconds", "Seconds until a provider's answer, of a sample.", ("app",)
)
PUSH_FAILURES = Metric("newszop_push_failures", "Requests that got no answer.", ("app", "failure"))
PUSHES_IN_FLIGHT = Metric(
    "newszop_pushes_in_flight", "Requests on their way to a provider.", ("app",)
)
PROVIDER_CONNECTIONS = Metric(
    "newszop_provider_connections", "Connections to providers.", ("app", "outcome")
)
STREAMS = Metric("newszop_streams", "Streams that ended, by why.", ("end",))
WRITE_SECONDS = Metric("newszop_state_write_seconds", "Seconds to write the states held.")
WRITE_FAILURES = Metric("newszop_state_write_failures", "Writes that PostgreSQL did not take.")
SWEEP_FAILURES = Metric("newszop_sweep_failures", "Searches of the sweep that failed.", ("search",))

# The service's processes and the workers.
REPLICA_READS = Metric(
    "newszop_replica_reads",
    "Reads meant for the replica: it answered, or the primary did for it lagged or was away.",
    ("source",),
)

# Beat and the poller of feeds.
BEAT_MESSAGES = Metric("newszop_beat_messages", "Messages that ask for a sweep.", ("outcome",))
FEED_POLLS = Metric("newszop_feed_polls", "Feeds asked.", ("outcome",))
FEED_POLL_SECONDS = Metric("newszop_feed_poll_seconds", "Seconds that a feed took.")

COUNTED = (
    HTTP_REQUESTS,
    PROCESS_TASKS,
    PUSH_VERDICTS,
    PUSH_FAILURES,
    PROVIDER_CONNECTIONS,
    STREAMS,
    WRITE_FAILURES,
    SWEEP_FAILURES,
    REPLICA_READS,
    BEAT_MESSAGES,
    FEED_POLLS,
)
TIMED = (HTTP_SECONDS, TASK_SECONDS, PUSH_SECONDS, WRITE_SECONDS, FEED_POLL_SECONDS)

# The state of the system, out of PostgreSQL and the broker: every replica tells the same.
QUEUE_MESSAGES = Metric("newszop_queue_messages", "Messages waiting.", ("queue",))
UP = Metric("newszop_up", "Whether a part works.", ("part",))
ALERTS = Metric("newszop_alerts", "Alerts.", ("state",))
DATABASE_BYTES = Metric("newszop_database_bytes", "Bytes of the database on disk.")
CANARY_AGE = Metric(
    "newszop_canary_age_seconds", "Seconds since the last canary; absent without one."
)
DELIVERIES = Metric(
    "newszop_deliveries",
    "Open deliveries; each is pending, leased or retrying.",
    (*APP, "state"),
)
OLDEST_PENDING = Metric(
    "newszop_oldest_pending_seconds",
    "Seconds since the oldest open delivery was due.",
    APP,
)
ACCEPTED_PER_SECOND = Metric(
    "newszop_accepted_per_second", "Pushes accepted, over the last minute.", APP
)
ERROR_SHARE = Metric(
    "newszop_error_share",
    "Share of the last minute's answered deliveries that are retrying or buried.",
    APP,
)
FAILING = Metric(
    "newszop_failing",
    "1 while an app accepts nothing or fails more than half; absent while held or paused.",
    APP,
)
HELD = Metric("newszop_held", "1 while an app is held.", APP)
PAUSED = Metric("newszop_paused", "1 while all sending is paused.")
HEARTBEAT_AGE = Metric(
    "newszop_worker_heartbeat_age_seconds",
    "Seconds since a worker was last seen; gone after a day.",
    ("worker",),
)
WORKERS = Metric("newszop_workers", "Workers that take messages from a queue now.", ("queue",))
SWEEP_AGE = Metric(
    "newszop_sweep_age_seconds",
    "Seconds since the last pass of the sweep; absent before the first.",
)
STATE = (
    QUEUE_MESSAGES,
    UP,
    ALERTS,
    DATABASE_BYTES,
    CANARY_AGE,
    DELIVERIES,
    OLDEST_PENDING,
    ACCEPTED_PER_SECOND,
    ERROR_SHARE,
    FAILING,
    HELD,
    PAUSED,
    HEARTBEAT_AGE,
    WORKERS,
    SWEEP_AGE,
    PUSHES_IN_FLIGHT,
)
