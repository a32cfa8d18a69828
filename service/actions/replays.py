"""Replays: a person has buried deliveries pushed again, under their old delivery ids."""

from service import outbox
from service.actions.alerts import lock_with_story
from service.domain.alert import Alert, AlertState, Kind, queue_of
from service.domain.errors import Conflict, require
from service.domain.people import Caller
from service.domain.story import why_not_pushable
from service.store.alerts import alert_transitions, alerts, restored_alerts
from service.store.deliveries import dead_letters, rejected_batches
from service.store.deliveries.dead_letters import Filter, ReplayPart
from service.store.staff import audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork

BATCHES_PER_STATEMENT = 100
STATEMENTS_PER_REPLAY = 20
"""Up to two million deliveries of an alert; for more, a person replays again."""
ALERTS_PER_REPLAY = 100


def replay_alert(work: UnitOfWork, alert_id: int, caller: Caller) -> int:
    """Push an alert's buried deliveries again; returns their number.

    Raises `Conflict` when the alert must not be sent any more.
    """
    refusal = _why_not_replayable(work, lock_with_story(work, alert_id))
    if refusal is not None:
        raise Conflict(refusal)
    return _replay(work, alert_id, Filter(alert_id=alert_id), caller)


def replay_matching(work: UnitOfWork, matching: Filter, caller: Caller) -> int:
    """Push the buried deliveries that match again; returns their number.

    Passed over are alerts that must not be sent any more, and batches that a worker has leased.
    """
    devices = 0
    for alert_id in dead_letters.alerts_with(work.session, matching, ALERTS_PER_REPLAY):
        if _why_not_replayable(work, lock_with_story(work, alert_id)) is None:
            devices += _replay(work, alert_id, matching, caller)
    return devices


def continue_alert(work: UnitOfWork, alert_id: int, caller: Caller) -> Alert:
    """Let an alert of a restored backup go on: what was open in it is pushed, perhaps again.

    To let it end instead, it is stopped. An alert that nobody has to decide on stays as it is.
    """
    alert = lock_with_story(work, alert_id)
    if not restored_alerts.let_go_on(work.session, alert_id):
        return alert
    queue = queue_of(alert.urgency)
    if alert.state is AlertState.PLANNING and alert.started_at is None:
        work.outbox.add(outbox.plan_alert(alert_id, queue))
    elif alert.state.running:
        work.outbox.add(outbox.deliver(alert_id, queue))
    audit.write(work.session, caller.name, "continue", f"alert:{alert_id}", by=caller.label)
    return alert


def _replay(work: UnitOfWork, alert_id: int, matching: Filter, caller: Caller) -> int:
    devices, providers = 0, set[str]()
    after: dead_letters.Place | None = (-1, -1)
    for _ in range(STATEMENTS_PER_REPLAY):
        if after is None:
            break
        part, after = dead_letters.replay(
            work.session,
            alert_id,
            matching,
            by=caller.label,
            batches=BATCHES_PER_STATEMENT,
            after=after,
        )
        devices += part.devices
        providers |= part.providers
    if matching.ids is None and matching.reason is None:
        part = _replay_rejected(work, alert_id, matching.provider)
        devices += part.devices
        providers |= part.providers
    if devices:
        _reopen(work, alert_id, sorted(providers))
        audit.write(
            work.session,
            caller.name,
            "replay",
            f"alert:{alert_id}",
            devices=devices,
            providers=sorted(providers),
        )
    return devices


def _replay_rejected(work: UnitOfWork, alert_id: int, provider: str | None) -> ReplayPart:
    """Take up again what the rejection of the alert by a provider cancelled."""
    devices, providers = 0, frozenset[str]()
    for _ in range(STATEMENTS_PER_REPLAY):
        part = rejected_batches.replay_rejected(
            work.session, alert_id, provider, limit=BATCHES_PER_STATEMENT
        )
        if not part.devices:
            break
        devices += part.devices
        providers |= part.providers
    return ReplayPart(devices, providers)


def _reopen(work: UnitOfWork, alert_id: int, providers: list[str]) -> None:
    """Let the alert be delivered again; one past its deadline gets its whole TTL from now."""
    alert = require(alerts.get(work.session, alert_id), "alert")
    late = alert.expires_at <= work.now
    deadline = work.now + alert.ttl if late else alert.expires_at
    alert_transitions.reopen(work.session, alert, deadline, providers)
    work.outbox.add(outbox.deliver(alert_id, alert.queue))


def _why_not_replayable(work: UnitOfWork, alert: Alert) -> str | None:
    if alert.kind is Kind.TEST:
        return "This was a test: send another from the story's page."
    if alert.state is AlertState.STOPPED:
        return "This alert was stopped: send a new one instead."
    later = [
        other
        for other in alerts.chain(work.session, alert.root_id)
        if other.created_at > alert.created_at and other.state is not AlertState.SCHEDULED
    ]
    if later and not alert.dry_run:
        return f"This alert was replaced by {later[-1].id}: its words are not sent any more."
    if alert.kind is Kind.WITHDRAWAL:
        return None
    story = require(stories.get(work.session, alert.story_id), "story")
    return why_not_pushable(story, work.now)
