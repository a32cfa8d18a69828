"""How an alert of each kind begins: first, update, withdrawal, test, canary and digest."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.alert import (
    TEST_TTL,
    Alert,
    AlertState,
    Draft,
    Kind,
    Words,
    collapse_key,
)
from service.domain.pace.digest import LIFE
from service.domain.pace.local_release import LocalRelease
from service.domain.subscription import Urgency
from service.domain.topic import story_topic

CANARY = "canary"
"""Who creates the dry-run alerts that prove that pushes would leave."""
DIGEST = "digest"
"""Who creates digests, and their collapse key: a later one replaces what is on the screen."""
CANARY_TTL = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What every new alert records: its id, its story, who creates it and when."""

    alert_id: int
    story_id: int
    created_by: str
    created_at: datetime


def new_first_alert(origin: Origin, draft: Draft, story_words: Words) -> Alert:
    """Return the alert that takes its story's one place, for now or for its `send_at`."""
    return _from_draft(origin, draft, story_words, Kind.FIRST, None)


def new_update(origin: Origin, draft: Draft, story_words: Words, root_id: int | None) -> Alert:
    """Return an update: a correction of the chain of `root_id`; without one to its own audience."""
    return _from_draft(origin, draft, story_words, Kind.UPDATE, root_id)


def new_withdrawal(origin: Origin, withdrawn: Alert, words: Words) -> Alert:
    """Return what silently replaces an alert and its corrections on the devices that have them.

    It lives as long as the alert could have: a device that was off must not show the one without
    the other.
    """
    return Alert(
        id=origin.alert_id,
        story_id=origin.story_id,
        kind=Kind.WITHDRAWAL,
        state=AlertState.PLANNING,
        title=words.title,
        body=words.body,
        urgency=withdrawn.urgency,
        collapse_key=withdrawn.collapse_key,
        created_at=origin.created_at,
        expires_at=origin.created_at + withdrawn.ttl,
        ttl=withdrawn.ttl,
        source_alert_id=withdrawn.root_id,
        created_by=origin.created_by,
    )


def new_test(origin: Origin, draft: Draft, story_words: Words, reader_id: int | None) -> Alert:
    """Return an editor's test for one reader: of the draft it has the words and the urgency."""
    return Alert(
        id=origin.alert_id,
        story_id=origin.story_id,
        kind=Kind.TEST,
        state=AlertState.PLANNING,
        title=story_words.title if draft.title is None else draft.title,
        body=story_words.body if draft.body is None else draft.body,
        locales=draft.locales,
        urgency=draft.urgency,
        collapse_key=collapse_key(origin.story_id, Kind.TEST),
        created_at=origin.created_at,
        expires_at=origin.created_at + TEST_TTL,
        ttl=TEST_TTL,
        reader_id=reader_id,
        created_by=origin.created_by,
    )


def new_canary(alert_id: int, story_id: int, headline: str, now: datetime) -> Alert:
    """Return a dry run for the followers of one story: few, and none of them gets a push."""
    return Alert(
        id=alert_id,
        story_id=story_id,
        kind=Kind.FIRST,
        state=AlertState.PLANNING,
        title=headline,
        body="",
        urgency=Urgency.QUIET,
        topics=(story_topic(story_id),),
        collapse_key=collapse_key(story_id),
        dry_run=True,
        created_at=now,
        expires_at=now + CANARY_TTL,
        ttl=CANARY_TTL,
        created_by=CANARY,
    )


def last_deadline(
    local_release: LocalRelease | None,
    starts_at: datetime,
    ttl: timedelta,
    ends_by: datetime | None = None,
) -> datetime:
    """Return when nothing of an alert is shown any more: its TTL after its last release.

    `ends_by` is when its story expires.
    """
    last = local_release.last_release(starts_at) if local_release else starts_at
    return last + ttl if ends_by is None else min(last + ttl, ends_by)


def new_digest(alert_id: int, story_id: int, now: datetime) -> Alert:
    """Return what tells readers what quiet hours kept away; each batch has words of its own.

    `story_id` is one of the stories in it: an alert has one.
    """
    return Alert(
        id=alert_id,
        story_id=story_id,
        kind=Kind.DIGEST,
        state=AlertState.PLANNING,
        title="Alerts while it was quiet",
        body="",
        urgency=Urgency.NORMAL,
        topics=(),
        collapse_key=DIGEST,
        created_at=now,
        expires_at=now + LIFE,
        ttl=LIFE,
        created_by=DIGEST,
    )


def _from_draft(
    origin: Origin, draft: Draft, story_words: Words, kind: Kind, root_id: int | None
) -> Alert:
    """Build what leaves now with its story's words, or a scheduled one that follows its story.

    What can still be undone is scheduled for a moment later, with the words of now.
    """
    now = draft.send_at is None
    send_at = origin.created_at + draft.undo if draft.undoable else draft.send_at
    starts_at = send_at or origin.created_at
    return Alert(
        id=origin.alert_id,
        story_id=origin.story_id,
        kind=kind,
        state=AlertState.PLANNING if send_at is None else AlertState.SCHEDULED,
        title=story_words.title if now and draft.title is None else draft.title,
        body=story_words.body if now and draft.body is None else draft.body,
        locales=draft.locales,
        urgency=draft.urgency,
        topics=draft.topics,
        everyone=draft.everyone,
        collapse_key=collapse_key(origin.story_id),
        dry_run=draft.dry_run,
        created_at=origin.created_at,
        send_at=send_at,
        expires_at=last_deadline(draft.local_release, starts_at, draft.ttl, draft.ends_by),
        apps=draft.apps,
        one_device=draft.one_device,
        spread=draft.spread,
        local_release=draft.local_release,
        headline_test=draft.headline_test,
        undoable=draft.undoable,
        ttl=draft.ttl,
        source_alert_id=root_id,
        created_by=origin.created_by,
    )
