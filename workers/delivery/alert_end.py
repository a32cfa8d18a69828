"""The end of an alert, for the stage that comes upon it last."""

import structlog

from service import outbox
from service.store.alerts import alert_transitions, unfinished_alerts
from service.store.session import DATABASE_AWAY, limit_lock_waits
from service.unit_of_work import unit_of_work
from workers.delivery.stream_context import StreamContext

log = structlog.get_logger()

LOCK_WAIT_S = 0.2
"""How long a row that somebody holds is waited for: the sweep ends the alert a second later."""


def end_if_done(context: StreamContext, alert_id: int) -> None:
    """End an alert with nothing open, and let go the corrections that waited for it to settle.

    Where the database does not allow it now, it is left to the sweep.
    """
    try:
        with unit_of_work(context.engine, context.broker) as work:
            limit_lock_waits(work.session, LOCK_WAIT_S)
            if alert_transitions.finish_if_done(work.session, alert_id):
                for waiting in unfinished_alerts.corrections_to_plan(work.session, alert_id):
                    work.outbox.add(outbox.plan_alert(waiting.alert_id, waiting.queue))
    except DATABASE_AWAY as error:
        log.warning("its end is left to the sweep", alert=alert_id, error=type(error).__name__)
