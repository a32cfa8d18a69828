"""What people do with alerts: estimate, send, stop, correct, withdraw, replay.

The alert's row is the outbox: once its transaction has committed, the alert is accepted, and the
message that follows only makes it start sooner than the sweep would.
"""

from collections.abc import Sequence
from dataclasses import replace

from service import outbox
from service.domain.alert import (
    Alert,
    AlertState,
    Draft,
    Kind,
    Words,
    check,
    check_words,
)
from service.domain.audience import Audience
from service.domain.errors import Conflict, Invalid, require
from service.domain.new_alerts import Origin, new_first_alert, new_update, new_withdrawal
from service.domain.people import Caller
from service.domain.story import Story, why_not_pushable
from service.store.alerts import alert_totals, alert_transitions, alerts
from service.store.deliveries import dead_letters
from service.store.deliveries.dead_letters import Filter
from service.store.readers import audience
from service.store.readers.audience import Estimate
from service.store.schema import new_id
from service.store.staff import audit
from service.store.stories import stories, topics
from service.unit_of_work import UnitOfWork

REPLAY_BATCHES = 100
"""Batches of one statement of a replay."""
REPLAY_CHUNKS = 20
"""Statements of one replay: up to two million deliveries, then a person asks again."""
REPLAY_ALERTS = 100


def estimate(work: UnitOfWork, story_id: int, draft: Draft, providers: Sequence[str]) -> Estimate:
    """Count whom this draft would reach if it were sent now, and change nothing.

    A story that is not out yet can be asked about, too: the number is part of writing it.
    """
    draft = check(draft, work.now)
    story = _story(work, story_id)
    _know(work, draft)
    if draft.corrects:
        root = alerts.root_of_story(work.session, story_id)
        if root is None or not root.unbegun:
            return _estimate_correction(work, root, providers)
        draft = replace(draft, topics=root.topics, everyone=root.everyone)
    frozen = audience.freeze(work.session, story_id, _audience(work, story, draft))
    return audience.estimate(work.session, frozen, providers)


def send_alert(work: UnitOfWork, story_id: int, draft: Draft, caller: Caller) -> Alert:
    """Accept an alert: now, or for its `send_at`.

    A story has one first alert (`AlreadyAlerted` names it); an update alone corrects that one and
    stops it. Dry runs take nobody's place.
    """
    draft = check(draft, work.now)
    story = _story(work, story_id, lock=True)
    refusal = why_not_pushable(story, draft.send_at or work.now)
    if refusal is not None:
        raise Conflict(refusal)
    _know(work, draft)
    source = _source(work, story_id, draft)
    if source is not None and source.unbegun and draft.send_at is None:
        draft, source = _instead_of(work, source, draft), None
    origin = _origin(work, story_id, caller)
    story_words = Words(story.text.headline, story.text.summary)
    if draft.update:
        alert = new_update(origin, draft, story_words, source.id if source else None)
    else:
        alert = new_first_alert(origin, draft, story_words)
    alerts.add(work.session, alert)
    _start(work, alert)
    audit.write(
        work.session,
        caller.name,
        "send",
        f"alert:{alert.id}",
        story=str(story_id),
        kind=alert.kind.value,
        urgency=alert.urgency.value,
        dry_run=alert.dry_run,
        send_at=alert.send_at and alert.send_at.isoformat(),
    )
    return alert


def withdraw(work: UnitOfWork, alert_id: int, words: Words, caller: Caller) -> Alert:
    """Stop an alert with its corrections, and replace it silently where it arrived.

    The withdrawal lives as long as the alert could have, so that a device which was off does not
    show the one without the other. The story's own state does not matter: what is retracted is
    what most needs withdrawing.
    """
    check_words(words)
    withdrawn = _locked_with_story(work, alert_id)
    if withdrawn.kind is Kind.TEST:
        raise Conflict("This was a test: no reader has it.")
    if withdrawn.dry_run:
        raise Conflict("This was a dry run: it is on no device.")
    if withdrawn.state is AlertState.SCHEDULED:
        raise Conflict("This alert has not left yet: stop it instead.")
    origin = _origin(work, withdrawn.story_id, caller)
    replacing = new_withdrawal(origin, withdrawn, words)
    alerts.add(work.session, replacing)
    _start(work, replacing)
    _note(work, caller, "withdraw", alert_id, replaced_by=str(replacing.id))
    return replacing


def stop(work: UnitOfWork, alert_id: int, caller: Caller, reason: str | None = None) -> Alert:
    """Stop a scheduled or running alert at once; one that has ended stays as it is."""
    alert = _locked(work, alert_id)
    if alert.state.final:
        return alert
    why = reason or f"stopped by {caller.label}"
    alert_transitions.stop(work.session, alert, why, work.now)
    _note(work, caller, "stop", alert_id, reason=why)
    return _alert_of(work, alert_id)


def stop_alerts_of(work: UnitOfWork, story_id: int, caller: Caller, reason: str) -> list[Alert]:
    """Stop the story's scheduled and running alerts. Withdrawals go on: they take news back."""
    return [
        stop(work, alert_id, caller, reason)
        for alert_id in sorted(alerts.stoppable(work.session, story_id))
    ]


def replay(work: UnitOfWork, which: int | Filter, caller: Caller) -> int:
    """Push buried deliveries again, under their old ids; returns how many.

    An alert named by its id must be fit for it. With a filter, alerts that are not are passed
    over, and so are batches that a worker holds just now.
    """
    if isinstance(which, int):
        refusal = _why_not_replayable(work, _locked_with_story(work, which))
        if refusal is not None:
            raise Conflict(refusal)
        return _replay_alert(work, which, Filter(alert_id=which), caller)
    devices = 0
    for alert_id in dead_letters.alerts_with(work.session, which, REPLAY_ALERTS):
        if _why_not_replayable(work, _locked_with_story(work, alert_id)) is None:
            devices += _replay_alert(work, alert_id, which, caller)
    return devices


def _replay_alert(work: UnitOfWork, alert_id: int, which: Filter, caller: Caller) -> int:
    devices, providers = 0, set[str]()
    after: dead_letters.Place | None = (-1, -1)
    for _ in range(REPLAY_CHUNKS):
        if after is None:
            break
        returned, after = dead_letters.replay(
            work.session, alert_id, which, by=caller.label, batches=REPLAY_BATCHES, after=after
        )
        devices += returned.devices
        providers |= returned.providers
    if devices:
        alert = _alert_of(work, alert_id)
        late = alert.expires_at <= work.now
        deadline = work.now + alert.ttl if late else alert.expires_at
        alert_transitions.reopen(work.session, alert, deadline, sorted(providers))
        work.outbox.add(outbox.deliver(alert_id, alert.queue))
        _note(work, caller, "replay", alert_id, devices=devices, providers=sorted(providers))
    return devices


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
    return why_not_pushable(_story(work, alert.story_id), work.now)


def _start(work: UnitOfWork, alert: Alert) -> None:
    """Let an alert that is due now replace what it corrects, and ask for its plan."""
    if alert.state is not AlertState.PLANNING:
        return
    alert_transitions.stop_replaced_alerts(work.session, alert, work.now)
    work.outbox.add(outbox.plan_alert(alert.id, alert.queue))


def _origin(work: UnitOfWork, story_id: int, caller: Caller) -> Origin:
    """Return what a new alert of this story records, with a new id."""
    return Origin(
        alert_id=new_id(), story_id=story_id, created_by=caller.label, created_at=work.now
    )


def _source(work: UnitOfWork, story_id: int, draft: Draft) -> Alert | None:
    """Return the root of the chain that a correction continues; None for every other draft."""
    if not draft.update:
        return None
    root = alerts.root_of_story(work.session, story_id, lock=True)
    if root is None:
        raise Conflict("This story has no alert yet that could be updated: leave update out.")
    if root.state is AlertState.SCHEDULED and draft.corrects:
        raise Conflict(
            "The first alert has not left yet: it follows its story's edits; to change more, "
            "stop it and send another."
        )
    return root if draft.corrects else None


def _instead_of(work: UnitOfWork, unbegun: Alert, draft: Draft) -> Draft:
    """Let a correction take the place of a first alert that nobody has begun to plan.

    Nothing of it is written down yet, so there is no "those who got it": its whole audience is
    the correction's.
    """
    if not draft.dry_run:
        alert_transitions.stop_unstarted(
            work.session, unbegun, "corrected before it left", work.now
        )
    return replace(draft, update=False, topics=unbegun.topics, everyone=unbegun.everyone)


def _estimate_correction(
    work: UnitOfWork, root: Alert | None, providers: Sequence[str]
) -> Estimate:
    """Count whom the chain has reached; a large one by its sums alone, which is nearly exact."""
    if root is None:
        return Estimate(0, {}, exact=True)
    members = alerts.chain(work.session, root.id)
    midway = root.state.running or any(member.takes_over for member in members)
    sums = alert_totals.totals(work.session, [root.id]).get(root.id, {})
    exact = sum(totals.planned for totals in sums.values()) <= audience.EXACT_UP_TO
    if exact:
        found = alert_totals.count_holders(work.session, members, providers, takes_over=midway)
    else:
        found = {
            name: totals.accepted + midway * (totals.open + totals.cancelled)
            for name, totals in sums.items()
            if name in providers
        }
    return Estimate(sum(found.values()), found, exact=exact)


def _audience(work: UnitOfWork, story: Story, draft: Draft) -> Audience:
    at = draft.send_at or work.now
    if draft.everyone:
        return Audience.of_everyone(story.id, draft.urgency, at)
    if draft.topics is not None:
        return Audience.of_topics(story.id, draft.topics, draft.urgency, at)
    return Audience.of_story(story.id, story.text.topics, draft.urgency, at)


def _know(work: UnitOfWork, draft: Draft) -> None:
    """Refuse topics that nobody can follow: a slip of the pen would reach nobody, silently."""
    if not draft.topics:
        return
    known = topics.by_paths(work.session, draft.topics)
    unknown = [path for path in draft.topics if path not in known]
    if unknown:
        raise Invalid("topics", f"There is no topic {', '.join(unknown[:5])}.")


def _story(work: UnitOfWork, story_id: int, *, lock: bool = False) -> Story:
    return require((stories.lock if lock else stories.get)(work.session, story_id), "story")


def _alert_of(work: UnitOfWork, alert_id: int) -> Alert:
    return require(alerts.get(work.session, alert_id), "alert")


def _locked(work: UnitOfWork, alert_id: int) -> Alert:
    return require(next(iter(alerts.lock(work.session, [alert_id])), None), "alert")


def _locked_with_story(work: UnitOfWork, alert_id: int) -> Alert:
    """Lock the story first: a retraction or a correction comes wholly before us or wholly after."""
    stories.lock(work.session, _alert_of(work, alert_id).story_id)
    return _locked(work, alert_id)


def _note(work: UnitOfWork, caller: Caller, verb: str, alert_id: int, **detail: object) -> None:
    audit.write(work.session, caller.name, verb, f"alert:{alert_id}", **detail)
