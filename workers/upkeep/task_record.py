"""What is written down of each message that a worker works on: how long it took, how it ended.

Every line that is logged meanwhile names the task, the alert, and the request that led to it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from celery import current_task

from workers import counters


@contextmanager
def task_record(task: str, alert_id: int | None = None) -> Iterator[None]:
    """Count and time the block, and name in its log lines what it is about."""
    subject: dict[str, str | int] = {"task": task}
    if alert_id is not None:
        subject["alert"] = alert_id
    request_id = _request_id()
    if request_id is not None:
        subject["request_id"] = request_id
    started_at = time.monotonic()
    with structlog.contextvars.bound_contextvars(**subject):
        try:
            yield
        except BaseException:
            counters.TASKS.labels(task, "failed").inc()
            raise
        else:
            counters.TASKS.labels(task, "done").inc()
        finally:
            counters.TASK_SECONDS.labels(task).observe(time.monotonic() - started_at)


def _request_id() -> str | None:
    """Return the id that came with the message; a message of the sweep has none."""
    request_id = current_task.request.get("request_id") if current_task else None
    return request_id if isinstance(request_id, str) else None
