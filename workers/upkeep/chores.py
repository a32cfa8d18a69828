"""The chores of the sweep: tickets, the canary, old idempotency answers, old deliveries."""

import time
from collections.abc import Callable

import structlog

from service import outbox
from service.store import idempotency
from service.store.deliveries import retention
from service.store.operations import canary
from service.store.readers import left_out_rules
from service.store.session import transaction
from service.store.stories import received_stories, sources
from service.unit_of_work import unit_of_work
from workers.context import WorkerContext
from workers.upkeep import follow_up

log = structlog.get_logger()


def run_chores(context: WorkerContext) -> None:
    """Run the chores that are due. None is urgent; one that fails runs again next time."""
    for chore, every_s in _CHORES:
        now = time.monotonic()
        if now - _last_runs.get(chore.__name__, -every_s) < every_s:
            continue
        _last_runs[chore.__name__] = now
        try:
            chore(context)
        except Exception as error:  # noqa: BLE001 - a chore that fails does not stop the others
            log.warning("chore failed", chore=chore.__name__, error=type(error).__name__)


def _send_canary(context: WorkerContext) -> None:
    """Send a dry run through the whole pipeline; the alarm is that none arrives."""
    with unit_of_work(context.engine, context.broker) as work:
        alert_id = canary.send_if_due(work.session, context.settings.canary_minutes)
        if alert_id is not None:
            work.outbox.add(outbox.plan_alert(alert_id, "normal"))


def _forget_old_answers(context: WorkerContext) -> None:
    with transaction(context.engine) as session:
        idempotency.forget_old_answers(session)


def _forget_old_ingests(context: WorkerContext) -> None:
    with transaction(context.engine) as session:
        received_stories.forget_old_kills(session)
        sources.forget_old_deliveries(session)


def _shrink_old_alerts(context: WorkerContext) -> None:
    with transaction(context.engine) as session:
        retention.shrink_old_alerts(session, context.settings.keep_deliveries_days)
    with transaction(context.engine) as session:
        left_out_rules.forget_old_sends(session)


Chore = Callable[[WorkerContext], None]
_CHORES: tuple[tuple[Chore, float], ...] = (
    (follow_up.ask_receipts, 10.0),
    (_send_canary, 15.0),
    (_forget_old_answers, 60.0),
    (_forget_old_ingests, 300.0),
    (_shrink_old_alerts, 300.0),
)
_last_runs: dict[str, float] = {}
"""When this process last ran each chore; it does no harm if several processes run one."""
