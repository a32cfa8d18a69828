"""The end of an alert, for the stage that comes upon it last."""

from service import outbox
from service.store.alerts import alert_transitions, unfinished_alerts
from service.unit_of_work import unit_of_work
from workers.delivery.stream_context import StreamContext


def end_if_done(context: StreamContext, alert_id: int) -> None:
    """End an alert with nothing open, and let go the corrections that waited for it to settle."""
    with unit_of_work(context.engine, context.broker) as work:
        if alert_transitions.finish_if_done(work.session, alert_id):
            for waiting in unfinished_alerts.corrections_to_plan(work.session, alert_id):
                work.outbox.add(outbox.plan_alert(waiting.alert_id, waiting.queue))
