"""THE PUSH IS PLANNED HERE: an alert is cut into shards, ranges of the reader-id space."""

from datetime import timedelta

from sqlmodel import Session

from service import outbox
from service.domain.alert import Kind, queue_of
from service.domain.audience import Audience
from service.domain.new_alerts import last_deadline
from service.domain.pace.spread import count_shards
from service.store.alerts import alert_transitions, planning, schedules
from service.store.alerts.planning import AlertToPlan
from service.store.deliveries import digests, shards
from service.store.readers import audience, audience_counts
from service.store.readers.left_out_rules import cap_in_force
from service.store.replica import log_place
from service.unit_of_work import unit_of_work
from workers import fan_out
from workers.context import WorkerContext
from workers.delivery.claiming import pack_shard


def plan_alert(context: WorkerContext, alert_id: int) -> bool:
    """Freeze an alert's words and audience, cut its shards, pack the first and ask for the rest.

    The first shard is small: its devices are on their way while the others are being packed. True:
    there is something to deliver, and the process that planned it had best begin.
    """
    with unit_of_work(context.engine, context.broker) as work:
        alert = planning.lock_alert_to_plan(work.session, alert_id)
        if alert is None or planning.is_replaced_alert_settling(work.session, alert):
            return False
        context.follow_apps(work.session, alert.apps_revision)
        if alert.expires_at <= alert.now:
            alert_transitions.expire_unstarted(work.session, alert_id)
            return False
        count = _cut(context, work.session, alert)
        if count == 0:
            alert_transitions.finish_if_done(work.session, alert_id)
            return False
        _pack_first(context, work.session, alert_id)
        queue = queue_of(alert.urgency)
        work.outbox.add(outbox.deliver(alert_id, queue))
        if context.known_servers:
            work.outbox.add(outbox.deliver_strangers(alert_id))
        for n in fan_out.open_children(work.session, alert_id, 0):
            work.outbox.add(outbox.fan_out_shard(alert_id, n, queue))
    return True


def _cut(context: WorkerContext, session: Session, alert: AlertToPlan) -> int:
    """Write the alert's shards; returns how many."""
    place = {"place": log_place(session)} if context.replica.exists else {}
    if alert.source_alert_id is not None:
        columns = audience.frozen_columns(None) | place
        alert_transitions.freeze(session, alert.id, alert.now, columns)
        ranges = shards.ranges_of_source(session, alert.source_alert_id)
    elif alert.kind is Kind.DIGEST:
        alert_transitions.freeze(session, alert.id, alert.now, audience.frozen_columns(None))
        size = digests.count_due(session, alert.id)
        ranges = shards.cut_id_space(size, context.settings.shard_devices)
    else:
        intended = audience_of(alert)
        if context.settings.language_rule:
            intended = intended.in_languages(alert.languages)
        intended = intended.capped_at(cap_in_force(session, context.settings.frequency_cap))
        if alert.local_release is not None:
            local_release = alert.local_release.at_home_in(context.settings.timezone)
            intended = intended.released_by(local_release)
        recipients = audience.freeze(session, alert.story_id, intended)
        columns = audience.frozen_columns(recipients) | place
        alert_transitions.freeze(session, alert.id, alert.now, columns)
        _put_deadline_off(session, alert)
        names = [n for n in context.names if alert.apps is None or n in alert.apps]
        size = audience_counts.rough_size(session, recipients, names)
        ranges = _ranges(size, context.settings.shard_devices, alert.spread)
    if ranges:
        shards.add(session, alert.id, ranges)
    return len(ranges)


def _put_deadline_off(session: Session, alert: AlertToPlan) -> None:
    """Let an alert with a local time that begins late live until its last zone had its time."""
    if alert.local_release is not None:
        deadline = last_deadline(alert.local_release, alert.now, alert.ttl, alert.story_expires_at)
        schedules.set_deadline(session, alert.id, deadline)


def _ranges(devices: int, per_shard: int, spread: timedelta) -> list[tuple[int, int]]:
    if spread:
        return shards.cut_evenly(count_shards(devices, per_shard, spread))
    return shards.cut_id_space(devices, per_shard)


def audience_of(alert: AlertToPlan) -> Audience:
    """Return whom the alert is for, judged now."""
    if alert.reader_id is not None:
        return Audience.of_reader(alert.story_id, alert.reader_id, alert.urgency, alert.now)
    if alert.everyone:
        return Audience.of_everyone(alert.story_id, alert.urgency, alert.now)
    of = Audience.of_topics if alert.named else Audience.of_story
    return of(alert.story_id, alert.topics, alert.urgency, alert.now)


def _pack_first(context: WorkerContext, session: Session, alert_id: int) -> None:
    alert = shards.planned_alert(session, alert_id)
    if alert is not None:
        pack_shard(context, session, alert, 0)
