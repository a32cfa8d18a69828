"""What was lost, due or overdue: found in the rows, once a second, and set going again.

Every stage may die at any point; its rows say how far it came. The sweep never does a stage's
work, it sends the stage's message again - but for ends that need nobody: expiry and cancelling.
"""

import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from service import outbox
from service.domain.delivery import State
from service.domain.story import StoryState
from service.store.alerts import alert_transitions, headline_tests, unfinished_alerts
from service.store.alerts.unfinished_alerts import AlertToStart, QueuedAlert
from service.store.deliveries import batch_closing, shards
from service.store.session import limit_lock_waits, transaction
from service.unit_of_work import UnitOfWork, unit_of_work
from workers import counters
from workers.context import WorkerContext
from workers.delivery import alert_end
from workers.delivery.claiming import pack_shard
from workers.upkeep import chores, story_page
from workers.upkeep.sweep_lease import SweepLease

log = structlog.get_logger()

PATIENCE_S = 2.0
"""How long a message may take before its work counts as lost."""
PAGE_AGAIN_S = 5.0
WARN_AT = 2
"""Refusals in a row after which the log says so: the first may be a restart of the site."""
WARN_EVERY = 60
PAGES_S = 3.0
"""How long a pass goes on asking for pages: the next passes take the other alerts."""
CLOSE_BATCHES = 500
SHARDS_A_PASS = 16
LOCK_WAIT_S = 0.2
"""How long a search waits for a row that somebody holds: the next pass comes in a second."""
LONGEST_QUEUE = 200
"""A queue with more messages than this is not short of messages: nothing is sent again."""


def sweep(context: WorkerContext) -> None:
    """Make one pass. Each search has a transaction of its own: one that fails spoils no other.

    Asking for pages comes last: it is the only search that waits for somebody else's answer.
    """
    lease = SweepLease(context.engine)
    if not lease.take():
        return
    _make(_follow_apps, context)
    try:
        for search in _searches():
            if not lease.take():
                return
            _make(search, context)
        if lease.take():
            chores.run_chores(context)
    finally:
        lease.give_back()


def _searches() -> tuple[Callable[[WorkerContext], None], ...]:
    ends = (_expire, _cancel_stopped, _cancel_rejected, _choose_headlines, _finish)
    return (*ends, _resend, _start_due)


def _make(search: Callable[[WorkerContext], None], context: WorkerContext) -> None:
    try:
        search(context)
    except Exception as error:  # noqa: BLE001 - whatever it was, the others go on
        counters.SWEEP_FAILURES.labels(search.__name__.strip("_")).inc()
        log.warning("sweep", search=search.__name__, error=type(error).__name__)


def _choose_headlines(context: WorkerContext) -> None:
    """End the tests of two headlines whose time is over, and let the rest leave."""
    _each(context, headline_tests.tests_to_end, _choose_one)


def _choose_one(context: WorkerContext, alert_id: int) -> None:
    with unit_of_work(context.engine, context.broker) as work:
        limit_lock_waits(work.session, LOCK_WAIT_S)
        queue = headline_tests.end_test(work.session, alert_id)
        if queue is not None:
            work.outbox.add(outbox.deliver(alert_id, queue))


def _follow_apps(context: WorkerContext) -> None:
    with transaction(context.engine) as session:
        context.follow_apps(session)


def _start_due(context: WorkerContext) -> None:
    """Start scheduled alerts whose time has come, if their story is live and its page answers."""
    with transaction(context.engine) as session:
        alerts = unfinished_alerts.alerts_to_start(session)
    until = time.monotonic() + PAGES_S
    for due in alerts:
        if time.monotonic() > until:
            return
        try:
            _start_one(context, due)
        except SQLAlchemyError as error:
            log.warning("not started", alert=due.alert_id, error=type(error).__name__)


def _start_one(context: WorkerContext, due: AlertToStart) -> None:
    reason = _why_not(due)
    wait = _why_wait(context, due) if reason is None else None
    with unit_of_work(context.engine, context.broker) as work:
        limit_lock_waits(work.session, LOCK_WAIT_S)
        if reason is not None:
            alert_transitions.refuse_start(work.session, due.alert_id, reason)
        elif wait is not None:
            refusals = alert_transitions.postpone_page_check(
                work.session, due.alert_id, PAGE_AGAIN_S, wait
            )
            if refusals == WARN_AT or refusals % WARN_EVERY == 0:
                log.warning("scheduled alert waits", alert=due.alert_id, reason=wait)
        elif alert_transitions.start_scheduled(work.session, due.alert_id):
            work.outbox.add(outbox.plan_alert(due.alert_id, due.queue))


def _why_not(due: AlertToStart) -> str | None:
    """Say why a due alert must not start at all; None when it may."""
    if due.story_state is StoryState.DRAFT:
        return "When its time came the story was a draft."
    if due.story_state is StoryState.RETRACTED:
        return "When its time came the story was retracted."
    if due.story_expires_at is not None and due.story_expires_at <= due.now:
        return "When its time came the story had expired."
    return None


def _why_wait(context: WorkerContext, due: AlertToStart) -> str | None:
    """Say why a due alert must wait; None when readers who tap it would find the story."""
    if due.embargo_until is not None and due.now < due.embargo_until:
        # its page is not there yet, whatever a cache says
        return "The story's embargo was put off."
    if due.undoable:  # sent for now: only its editor's moment to undo it was left
        return None
    settings = context.settings
    return story_page.why_not_shown(settings.page_origin, settings.public_url, due.slug)


def _expire(context: WorkerContext) -> None:
    """End alerts past their deadline: what is open expires, what is leased its holder ends."""
    _each(context, unfinished_alerts.alerts_past_deadline, _expire_one)


def _expire_one(context: WorkerContext, alert_id: int) -> None:
    with transaction(context.engine) as session:
        limit_lock_waits(session, LOCK_WAIT_S)
        if not alert_transitions.lock_overdue(session, alert_id):
            return
        alert_transitions.expire_unstarted(session, alert_id)
        _drain(session, context, alert_id, State.EXPIRED)
    alert_end.end_if_done(context, alert_id)


def _cancel_stopped(context: WorkerContext) -> None:
    """Account for the rest of stopped alerts: pack what is unpacked, cancel what is open."""
    _each(context, unfinished_alerts.stopped_alerts_to_settle, _cancel_one)


def _cancel_one(context: WorkerContext, alert_id: int) -> None:
    with transaction(context.engine) as session:
        limit_lock_waits(session, LOCK_WAIT_S)
        alert_transitions.settle_unstarted(session, alert_id)
        _drain(session, context, alert_id, State.CANCELLED)
    alert_end.end_if_done(context, alert_id)


def _drain(session: Session, context: WorkerContext, alert_id: int, to: State) -> None:
    alert = shards.planned_alert(session, alert_id)
    if alert is not None:
        for n in shards.open_shards(session, alert_id, SHARDS_A_PASS):
            pack_shard(context, session, alert, n)
    while (
        batch_closing.close_open_batches(session, alert_id, to, limit=CLOSE_BATCHES)
        == CLOSE_BATCHES
    ):
        pass


def _cancel_rejected(context: WorkerContext) -> None:
    with transaction(context.engine) as session:
        for alert, names in unfinished_alerts.lock_rejected_alerts(session):
            for name in names:
                batch_closing.close_open_batches(
                    session, alert.alert_id, State.CANCELLED, provider=name, limit=CLOSE_BATCHES
                )


def _finish(context: WorkerContext) -> None:
    _each(context, unfinished_alerts.alerts_to_finish, alert_end.end_if_done)


def _resend(context: WorkerContext) -> None:
    """Send the messages of alerts that nobody is at work on."""
    queues = (*outbox.QUEUES, outbox.STRANGERS_QUEUE)
    full = {queue for queue in queues if context.waiting(queue) > LONGEST_QUEUE}
    with unit_of_work(context.engine, context.broker) as work:
        for alert in unfinished_alerts.alerts_to_plan(work.session, PATIENCE_S):
            if alert.queue not in full:
                work.outbox.add(outbox.plan_alert(alert.alert_id, alert.queue))
        for alert in unfinished_alerts.alerts_to_fan_out(work.session, PATIENCE_S):
            for n in shards.open_shards(work.session, alert.alert_id, SHARDS_A_PASS):
                if alert.queue not in full:
                    work.outbox.add(outbox.fan_out_shard(alert.alert_id, n, alert.queue))
        for alert in unfinished_alerts.alerts_to_deliver(work.session, context.names):
            if alert.queue not in full:
                work.outbox.add(outbox.deliver(alert.alert_id, alert.queue))
        _resend_strangers(context, work, full)


def _resend_strangers(context: WorkerContext, work: UnitOfWork, full: set[str]) -> None:
    """Send the messages for strangers' servers; where none is allowed any more, any process does.

    What was packed while they were allowed must not wait for a worker that is there no longer.
    """
    allowed = context.known_servers
    names = [name for name in context.names if name in allowed]
    others = [name for name in context.names if name not in allowed]
    if names and outbox.STRANGERS_QUEUE not in full:
        for alert in unfinished_alerts.alerts_to_deliver(work.session, names, strangers=True):
            work.outbox.add(outbox.deliver_strangers(alert.alert_id))
    for alert in unfinished_alerts.alerts_to_deliver(work.session, others, strangers=True):
        if alert.queue not in full:
            work.outbox.add(outbox.deliver(alert.alert_id, alert.queue))


def _each(
    context: WorkerContext,
    search: Callable[[Session], list[QueuedAlert]],
    settle: Callable[[WorkerContext, int], object],
) -> None:
    """Settle every unfinished alert; one that cannot be settled now keeps no other waiting."""
    with transaction(context.engine) as session:
        every = search(session)
    for alert in every:
        try:
            settle(context, alert.alert_id)
        except SQLAlchemyError as error:
            log.warning("not settled", alert=alert.alert_id, error=type(error).__name__)
