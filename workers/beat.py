"""The Celery application of beat: one entry, the sweep, sent every second.

It is not the workers' application: it knows the task by its name, and loads none of their code.
"""

from typing import Any

from celery import Celery, signals

from service.logs import configure_logging
from service.metrics.exposition import serve_counters
from service.settings import load
from workers.upkeep import sweep_beat
from workers.upkeep.broker_options import broker_options

SWEEP_KEPT_S = 30
"""How long a sweep waits for a worker. Expiry goes by two machines' clocks, so not by seconds."""

app = Celery("newszop")
app.conf.update(
    broker_options(),
    beat_schedule={
        "sweep": {
            "task": "sweep",
            "schedule": sweep_beat.EVERY_S,
            "options": {"queue": "urgent", "expires": SWEEP_KEPT_S, "retry": False},
        }
    },
    beat_scheduler="workers.upkeep.sweep_beat:MonotonicScheduler",
)


@signals.setup_logging.connect
def _logging(**_: Any) -> None:
    settings = load()
    configure_logging(settings.log_level, settings.log_format)


@signals.beat_init.connect
def _serve_counters(**_: Any) -> None:
    """Let Prometheus read what beat counts; workers are read where they are supervised."""
    settings = load()
    if settings.metrics_address is not None:
        serve_counters(settings.metrics_address, settings.metrics_token)
