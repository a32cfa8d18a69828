"""What a source's new stories lead to: a suggestion on the desk, or an alert within its rule."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.actions import alerts as alert_actions
from service.actions import stories as story_actions
from service.actions.ingest_documents import IngestedDocument, IngestedStory
from service.domain.alert import Alert, Draft
from service.domain.errors import Refusal, require
from service.domain.people import Caller, Scope
from service.domain.sources.alert_rule import (
    AlertMode,
    AlertRule,
    AlertSituation,
    NoAlert,
    SendNow,
    Suggest,
    judge_alert,
    make_alert_rule,
)
from service.domain.story import Outcome, Story
from service.store.staff import audit
from service.store.stories import stories, suggested_alerts
from service.store.stories.sources import Source
from service.unit_of_work import UnitOfWork

PAGE_CHECK_DELAY = timedelta(seconds=1)
"""A source's alert is scheduled, not sent: it leaves once the story's page answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCircumstances:
    """What decides besides the rule and the story."""

    breaking_needs_two: bool
    is_first_poll: bool = False


def source_caller(source: Source) -> Caller:
    """Return a source as the caller that its stories and alerts name."""
    scopes = frozenset({Scope.STORIES_WRITE, Scope.ALERTS_WRITE})
    return Caller(name=f"source:{source.id}", label=source.name, scopes=scopes)


def alert_new_stories(
    work: UnitOfWork,
    source: Source,
    document: IngestedDocument,
    circumstances: AlertCircumstances,
) -> None:
    """Suggest or send alerts for a document's new stories, the oldest of them first.

    Of a feed that was just added only the newest story is suggested: the rest is no news. The
    source must be locked, or two deliveries could both be the last one that its rule allows.
    """
    mode = AlertMode(source.alert)
    new_stories = [
        (result.incoming.published_at or result.incoming.updated_at, result.result.story)
        for result in document
        if isinstance(result, IngestedStory) and result.result.outcome is Outcome.CREATED
    ]
    pairs = [(news_date, story) for news_date, story in new_stories if story is not None]
    if mode is AlertMode.NEVER or not pairs:
        return
    pairs.sort(key=lambda pair: pair[0] or work.now)
    if circumstances.is_first_poll:
        pairs = _newest(new_stories, pairs)
    rule = make_alert_rule(source.alert_rule)
    for news_date, story in pairs:
        _alert(work, source, rule, story, news_date, circumstances)


def send_suggested(work: UnitOfWork, story_id: int, caller: Caller) -> Alert:
    """Send what a source suggested, to the story's own followers; a draft is published first."""
    stories.lock(work.session, story_id)
    suggestion = require(suggested_alerts.get(work.session, story_id), "suggested alert")
    story_actions.publish(work, story_id, caller)
    alert = alert_actions.send_alert(work, story_id, Draft(urgency=suggestion.urgency), caller)
    suggested_alerts.settle(work.session, story_id, suggested_alerts.SENT, caller.name)
    return alert


def dismiss_suggested(work: UnitOfWork, story_id: int, caller: Caller) -> None:
    """Take a suggestion off the desk."""
    if suggested_alerts.settle(work.session, story_id, suggested_alerts.DISMISSED, caller.name):
        audit.write(work.session, caller.name, "dismiss suggestion", f"story:{story_id}")


def _newest(
    new_stories: list[tuple[datetime | None, Story | None]],
    pairs: list[tuple[datetime | None, Story]],
) -> list[tuple[datetime | None, Story]]:
    """Return the newest by the sender's dates; without dates the first in the feed's own order."""
    if all(news_date is None for news_date, _ in new_stories):
        return pairs[:1]
    return pairs[-1:]


def _alert(
    work: UnitOfWork,
    source: Source,
    rule: AlertRule,
    story: Story,
    news_date: datetime | None,
    circumstances: AlertCircumstances,
) -> None:
    sender = source_caller(source)
    situation = AlertSituation(
        story=story,
        now=work.now,
        news_date=news_date,
        history=suggested_alerts.history(work.session, source.id, sender.name),
        is_first_poll=circumstances.is_first_poll,
        breaking_needs_two=circumstances.breaking_needs_two,
    )
    decision = judge_alert(AlertMode(source.alert), rule, situation)
    match decision:
        case NoAlert():
            return
        case Suggest(reason):
            suggested_alerts.add(work.session, story.id, source.id, rule.urgency, reason)
        case SendNow():
            suggested_alerts.add(work.session, story.id, source.id, rule.urgency, "")
            _send(work, story, rule, sender)


def _send(work: UnitOfWork, story: Story, rule: AlertRule, sender: Caller) -> None:
    """Schedule the alert; what refuses it leaves the suggestion on the desk."""
    draft = Draft(urgency=rule.urgency, send_at=work.now + PAGE_CHECK_DELAY)
    try:
        with work.session.begin_nested():
            alert_actions.send_alert(work, story.id, draft, sender)
    except Refusal:
        return
    suggested_alerts.settle(work.session, story.id, suggested_alerts.SENT, sender.name)
