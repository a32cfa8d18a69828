"""What is written down of each message that a worker works on: how long it took, how it ended.

Every line that is logged meanwhile names the task, the alert, the request that led to it and the
trace that it belongs to.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from celery import current_task
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.store.alerts.alert_traces import read_traceparent
from service.store.session import transaction
from service.tracing.spans import is_tracing, span
from workers import counters


@contextmanager
def task_record(
    task: str, alert_id: int | None = None, engine: Callable[[], Engine] | None = None
) -> Iterator[None]:
    """Count and time the block, trace it, and name in its log lines what it is about.

    Work on no alert, the sweep, is a trace of its own; what it begins is of the alerts' traces.
    """
    subject: dict[str, str | int] = {"task": task}
    if alert_id is not None:
        subject["alert"] = alert_id
    request_id = _header("request_id")
    if request_id is not None:
        subject["request_id"] = request_id
    started_at = time.monotonic()
    names = {f"newszop.{name}": str(value) for name, value in subject.items()}
    parent = _parent(alert_id, engine) if is_tracing() else None
    with (
        structlog.contextvars.bound_contextvars(**subject),
        span(task, names, parent, is_carried=alert_id is not None),
    ):
        try:
            yield
        except BaseException:
            counters.TASKS.labels(task, "failed").inc()
            raise
        else:
            counters.TASKS.labels(task, "done").inc()
        finally:
            counters.TASK_SECONDS.labels(task).observe(time.monotonic() - started_at)


def _header(name: str) -> str | None:
    """Return what came with the message; a message of the sweep has no headers of ours."""
    value = current_task.request.get(name) if current_task else None
    return value if isinstance(value, str) else None


def _parent(alert_id: int | None, engine: Callable[[], Engine] | None) -> str | None:
    """Return the work's place in a trace: the message's, or else the alert's."""
    place = _header("traceparent")
    if place is not None or alert_id is None or engine is None:
        return place
    try:
        with transaction(engine()) as session:
            return read_traceparent(session, alert_id)
    except SQLAlchemyError:
        return None  # the work itself says what is wrong
