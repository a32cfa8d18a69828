"""The chores of the sweep: tickets, the canary, old answers, old deliveries, unseen devices."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from sqlmodel import Session

from service import outbox
from service.media.storage import delete_oldest_unused, open_elsewhere
from service.store import idempotency
from service.store.deliveries import digests, retention
from service.store.operations import canary
from service.store.readers import device_ages, left_out_rules, missed_alerts
from service.store.session import database_now, transaction
from service.store.stories import received_stories, sources
from service.unit_of_work import unit_of_work
from workers import counters
from workers.context import WorkerContext
from workers.upkeep import follow_up, result_chores

log = structlog.get_logger()

MOST_DEVICES_A_RUN = 5000
"""What is left of a minute's part of the readers waits for the next day."""
SHRINK_S = 1.0


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
            counters.SWEEP_FAILURES.labels("chore").inc()
            log.warning("chore failed", chore=chore.__name__, error=type(error).__name__)


def _send_canary(context: WorkerContext) -> None:
    """Send a dry run through the whole pipeline; the alarm is that none arrives."""
    with unit_of_work(context.engine, context.broker) as work:
        alert_id = canary.send_if_due(work.session, context.settings.canary_minutes)
        if alert_id is not None:
            work.outbox.add(outbox.plan_alert(alert_id, "normal"))


def _send_digest(context: WorkerContext) -> None:
    """Tell readers whose quiet hours have just ended what these kept away, if they want to know."""
    with unit_of_work(context.engine, context.broker) as work:
        alert_id = digests.begin_digest(work.session, database_now(work.session))
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
    """Shrink what is old, for a second at most: it is many rows, and the next pass comes soon."""
    until = time.monotonic() + SHRINK_S
    days = context.settings.keep_deliveries_days
    more = True
    while more and time.monotonic() < until:
        with transaction(context.engine) as session:
            more = retention.shrink_oldest_alert(session, days)


def _forget_old_sends(context: WorkerContext) -> None:
    with transaction(context.engine) as session:
        left_out_rules.forget_old_sends(session)
        missed_alerts.forget_missed(session)
        digests.forget_windows(session)


def _delete_unused_pictures(context: WorkerContext) -> None:
    """Delete uploads that no story has, for a second at most: the next pass comes soon."""
    elsewhere, now = open_elsewhere(context.settings), datetime.now(UTC)
    until = time.monotonic() + SHRINK_S
    while time.monotonic() < until and delete_oldest_unused(context.engine, elsewhere, now):
        pass


def _age_devices(context: WorkerContext) -> None:
    """Mark and forget devices that were not seen for long, among those of this minute's readers."""
    part = device_ages.part_at(datetime.now(UTC))
    stale_days = context.settings.device_stale_days
    expiry_days = context.settings.device_expiry_days
    if expiry_days:
        tombstones = _change_devices(
            context, lambda session: device_ages.forget_unseen(session, part, expiry_days)
        )
        if tombstones:
            log.info("unseen devices forgotten", devices=tombstones)
    _change_devices(context, lambda session: device_ages.mark_stale(session, part, stale_days))


def _change_devices(context: WorkerContext, change: Callable[[Session], int]) -> int:
    """Change devices, each 1,000 in a transaction, until none is left; returns how many."""
    total = 0
    while total < MOST_DEVICES_A_RUN:
        with transaction(context.engine) as session:
            devices = change(session)
        total += devices
        if devices < device_ages.MOST_AT_ONCE:
            break
    return total


Chore = Callable[[WorkerContext], None]
_CHORES: tuple[tuple[Chore, float], ...] = (
    (follow_up.ask_receipts, 10.0),
    (_send_canary, 15.0),
    (_send_digest, 5.0),
    (_age_devices, 30.0),
    (_forget_old_answers, 60.0),
    (_forget_old_ingests, 300.0),
    (result_chores.keep_results, 60.0),
    (result_chores.write_samples, 60.0),
    (result_chores.write_audience_day, 3600.0),
    (_shrink_old_alerts, 30.0),
    (_forget_old_sends, 300.0),
    (_delete_unused_pictures, 60.0),
)
_last_runs: dict[str, float] = {}
"""When this process last ran each chore; it does no harm if several processes run one."""
