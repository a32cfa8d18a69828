"""The workers' Celery application: tasks by the stages' names, queues, start and stop.

Celery carries ids only. A message is acknowledged before its task runs and never comes back by
itself: what is lost is found by the sweep, in seconds, not after a visibility timeout.
"""

import gc
import sys
import threading
from typing import Any

import structlog
from celery import Celery, signals
from sqlalchemy import Engine
from sqlalchemy.orm import configure_mappers

from service.broker.celery_options import put_first
from service.cpu_priority import give_way
from service.logs import configure_logging
from service.outbox import STRANGERS_QUEUE
from service.settings import SettingsError, load
from service.tracing.spans import close_tracing, configure_tracing
from workers import deliver as deliver_stage
from workers import fan_out as fan_out_stage
from workers import plan as plan_stage
from workers import sweep as sweep_stage
from workers.context import SENDING_NOTE, STOPPING, WorkerContext, check_start, open_context
from workers.upkeep import heartbeat, sender_locks
from workers.upkeep.broker_options import broker_options
from workers.upkeep.task_record import task_record

log = structlog.get_logger()

app = Celery("newszop")
app.conf.update(
    broker_options(),
    worker_consumer="workers.upkeep.broker_consumer:ReconnectingConsumer",
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


class OwnContext:
    """The one context of this worker process; opened after the fork, closed at its end.

    Its first task decides whether it is for strangers' servers: a worker takes messages of the one
    kind or of the other.
    """

    context: WorkerContext | None = None

    @classmethod
    def get(cls, *, strangers: bool = False) -> WorkerContext:
        """Open it at the first task: a child inherits no connection of its parent's."""
        if cls.context is None or cls.context.strangers is not strangers:
            cls.close()
            cls.context = open_context(strangers=strangers)
            # what was loaded by now stays: the garbage collector need not walk it again and again
            gc.collect()
            gc.freeze()
        return cls.context

    @classmethod
    def close(cls) -> None:
        """Let go of it."""
        if cls.context is not None:
            cls.context.close()
            cls.context = None


def own_engine() -> Engine:
    """Return the way of this process to PostgreSQL."""
    return OwnContext.get().engine


def strangers_engine() -> Engine:
    """Return it in a process for strangers' servers."""
    return OwnContext.get(strangers=True).engine


@app.task(name="plan_alert")
def plan_alert(alert_id: int) -> None:
    """Cut an alert into shards, and send at once what is packed: no hand-over delays it."""
    with task_record("plan_alert", alert_id, own_engine):
        if plan_stage.plan_alert(OwnContext.get(), alert_id):
            deliver_stage.deliver(OwnContext.get(), alert_id)


@app.task(name="fan_out_shard")
def fan_out_shard(alert_id: int, n: int) -> None:
    """Pack one shard into batches."""
    with task_record("fan_out_shard", alert_id, own_engine):
        fan_out_stage.fan_out_shard(OwnContext.get(), alert_id, n)


@app.task(name="deliver")
def deliver(alert_id: int) -> None:
    """Send an alert's open batches."""
    with task_record("deliver", alert_id, own_engine):
        deliver_stage.deliver(OwnContext.get(), alert_id)


@app.task(name="deliver_strangers")
def deliver_strangers(alert_id: int) -> None:
    """Send an alert's open batches of servers that nobody named."""
    with task_record("deliver_strangers", alert_id, strangers_engine):
        deliver_stage.deliver(OwnContext.get(strangers=True), alert_id)


@app.task(name="sweep")
def sweep() -> None:
    """Find what was lost, due or overdue."""
    with task_record("sweep"):
        sweep_stage.sweep(OwnContext.get())


@signals.setup_logging.connect
def _logging(**_: Any) -> None:
    settings = load()
    configure_logging(settings.log_level, settings.log_format)


@signals.worker_init.connect
def _check_settings(**_: Any) -> None:
    """Refuse to start with a bad setting: one line that names it, and nothing takes messages."""
    try:
        check_start(load())
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    configure_mappers()  # once, before the fork: each child would do it with its first task


@signals.celeryd_after_setup.connect
def _put_urgent_first(instance: Any = None, **_: Any) -> None:
    """Let a worker of one queue have its messages before those that are busy with others."""
    consumed = instance.app.amqp.queues.consume_from
    if len(consumed) == 1:
        for queue in consumed.values():
            put_first(queue)


@signals.worker_shutting_down.connect
def _shutting_down(**_: Any) -> None:
    """Tell the running streams: they write what they know, give it back and end in seconds."""
    STOPPING.set()


@signals.worker_shutdown.connect
def _shutdown(**_: Any) -> None:
    """Leave at once: the interpreter's last search for garbage took two seconds of the five."""
    gc.freeze()


@signals.worker_process_init.connect
def _process_init(**_: Any) -> None:
    """Let a process for strangers' servers come last on its processor, whatever they send it.

    Traces are exported by a thread, so they begin after the fork.
    """
    if list(app.amqp.queues.consume_from) == [STRANGERS_QUEUE]:
        give_way()
    configure_tracing(load(), "worker")


@signals.worker_process_shutdown.connect
def _process_shutdown(**_: Any) -> None:
    OwnContext.close()
    close_tracing()


@signals.worker_ready.connect
def _ready(sender: Any = None, **_: Any) -> None:
    """Show the queue console a sign of life, from the worker's main process."""
    settings, queues = load(), sorted(sender.app.amqp.queues.consume_from)
    beat_arguments = (settings, str(sender.hostname), queues, SENDING_NOTE.read)
    threading.Thread(target=heartbeat.beat_forever, args=beat_arguments, daemon=True).start()
    if settings.sender_folder is not None:
        watch_arguments = (settings, settings.sender_folder)
        threading.Thread(
            target=sender_locks.watch_forever, args=watch_arguments, daemon=True
        ).start()
