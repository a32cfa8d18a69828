"""A Celery application with one task that does nothing, on the system's Redis: a reference."""

import os

from celery import Celery

app = Celery("empty", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    task_default_queue="bench-empty",
    broker_transport_options={"socket_timeout": 5},
    worker_send_task_events=False,
)


@app.task(name="empty")
def empty() -> None:
    """Do nothing."""
