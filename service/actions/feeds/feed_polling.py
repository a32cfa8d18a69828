"""One poll of a feed: what is asked, what the answer means, and what of it is taken in."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Engine

from service.actions.hook_deliveries import (
    HookResult,
    describe_result,
    ingest_for_source,
    source_rules,
)
from service.actions.ingest import source_name
from service.domain.errors import Refusal, require
from service.domain.sources.feed_schedule import PollAnswer, next_wait
from service.fetching.fetch import FetchedDocument, Fetcher, FetchRequest
from service.fetching.fetch_errors import FetchFailed
from service.fetching.retry_after import parse_retry_after
from service.formats.feeds.feed import Feed, parse_feed
from service.formats.incoming import IncomingStory, Stories
from service.outbox import Broker
from service.settings import Settings
from service.store.stories import feeds, received_stories, sources
from service.store.stories.feeds import PollResult, StoredFeed
from service.store.stories.sources import Source
from service.unit_of_work import UnitOfWork, unit_of_work

MOST_FEED_BYTES = 8 * 1024 * 1024
MOST_KEPT_BYTES = 1024 * 1024
"""A larger body is read but not kept, so it cannot be replayed: the feed itself still has it."""
MOST_BODIES = 50
"""Kept of one feed; the oldest go first."""
ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, "
    "text/xml;q=0.9, */*;q=0.5"
)
NOT_MODIFIED, OK, GONE = 304, 200, 410
GONE_FAILURES = 9
_BUSY = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """What polls work with."""

    settings: Settings
    engine: Engine
    broker: Broker
    fetcher: Fetcher


def poll_feed(polling: Polling, feed: StoredFeed) -> PollResult:
    """Ask for a feed and take in what is new of it; the caller saves the result."""
    headers = {"Accept": ACCEPT}
    if feed.etag:
        headers["If-None-Match"] = feed.etag
    if feed.last_modified:
        headers["If-Modified-Since"] = feed.last_modified
    request = FetchRequest(address=feed.address, most_bytes=MOST_FEED_BYTES, headers=headers)
    try:
        document = polling.fetcher.fetch(request)
    except FetchFailed as failure:
        return _failure(feed, failure.reason)
    return _read_answer(polling, feed, document)


def take_body(
    polling: Polling, feed: StoredFeed, document: FetchedDocument, *, is_pushed: bool = False
) -> PollResult:
    """Take in a feed's new body, however it came: by a poll, or pushed by a hub.

    What a hub pushes may be a part of the feed: it says nothing about validators and hubs.
    """
    try:
        contents = parse_feed(document.body, address=document.address, charset=document.charset)
    except Refusal as refusal:
        _keep_unreadable(polling, feed, document, refusal)
        return _failure(feed, refusal.detail[:500])
    with unit_of_work(polling.engine, polling.broker) as work:
        source = sources.lock(work.session, feed.source_id)
        if source is not None:
            _take_in(work, source, feed, document, contents.stories, polling.settings)
            if not is_pushed:
                _save_change(work, feed, document, contents)
    return _success(feed, document, contents)


def take_first_body(
    work: UnitOfWork, source: Source, document: FetchedDocument, contents: Feed, settings: Settings
) -> None:
    """Take in what a feed had when it was added, in the transaction that adds it."""
    feed = require(feeds.get(work.session, source.id), "feed")
    _take_in(work, source, feed, document, contents.stories, settings)
    _save_change(work, feed, document, contents)
    feeds.save_results(work.session, [_success(feed, document, contents)])


def _read_answer(polling: Polling, feed: StoredFeed, document: FetchedDocument) -> PollResult:
    status = document.status
    if status == NOT_MODIFIED or (status == OK and _hash(document.body) == feed.body_hash):
        return _success(feed, document, None)
    if status == OK:
        return take_body(polling, feed, document)
    if status == GONE:
        return PollResult(
            source_id=feed.source_id,
            wait_s=next_wait(PollAnswer(failures=GONE_FAILURES)),
            failures=GONE_FAILURES,
            error="The feed is gone for good (410).",
        )
    busy = " It asks us to come later." if status in _BUSY else ""
    return _failure(feed, f"{feed.host} answers {status}.{busy}", document)


def _take_in(
    work: UnitOfWork,
    source: Source,
    feed: StoredFeed,
    document: FetchedDocument,
    stories: Stories,
    settings: Settings,
) -> None:
    news = _changed_stories(work, source, stories)
    body = document.body if len(document.body) <= MOST_KEPT_BYTES else b""
    delivery = sources.lock_delivery(work.session, source.id, _hash(document.body), body)
    result = _ingest(work, source, feed, news, settings) if news else HookResult()
    outcome, error = describe_result(result)
    sources.count_delivery(work.session, delivery.id, outcome if news else "unchanged", error)
    sources.drop_surplus(work.session, source.id, MOST_BODIES)


def _ingest(
    work: UnitOfWork, source: Source, feed: StoredFeed, news: Stories, settings: Settings
) -> HookResult:
    is_first = feed.changed_at is None
    try:
        with work.session.begin_nested():
            stories = ingest_for_source(work, source, news, settings, is_first_poll=is_first)
            return HookResult(stories)
    except Refusal as refusal:
        return HookResult(refusal=refusal)


def _save_change(
    work: UnitOfWork, feed: StoredFeed, document: FetchedDocument, contents: Feed
) -> None:
    hub = contents.hubs[0] if contents.hubs else ""
    is_other_hub = hub != feed.hub
    feeds.save_change(
        work.session,
        feed.source_id,
        etag=document.headers.get("etag", "")[:500],
        last_modified=document.headers.get("last-modified", "")[:100],
        body_hash=_hash(document.body),
        minutes_between_polls=contents.minutes_between_polls,
        hub=hub,
        hub_topic=contents.self_url or feed.address,
        **({"hub_asked_at": None, "hub_until": None} if is_other_hub else {}),
    )


def _changed_stories(work: UnitOfWork, source: Source, stories: Stories) -> Stories:
    """Leave out what was taken in before as it is: most entries of most polls."""
    rules = source_rules(source)
    names = {
        story: source_name(story, rules) for story in stories if isinstance(story, IncomingStory)
    }
    hashes = received_stories.known_hashes(work.session, names.values())
    return tuple(
        story
        for story in stories
        if not isinstance(story, IncomingStory)
        or hashes.get(names[story], "") != story.content_hash
    )


def _keep_unreadable(
    polling: Polling, feed: StoredFeed, document: FetchedDocument, refusal: Refusal
) -> None:
    """Keep what could not be read, with the reason, for the person who can mend it."""
    with unit_of_work(polling.engine, polling.broker) as work:
        if sources.lock(work.session, feed.source_id) is None:
            return
        body = document.body[:MOST_KEPT_BYTES]
        key = _hash(document.body)
        delivery = sources.lock_delivery(work.session, feed.source_id, key, body)
        outcome, error = describe_result(HookResult(refusal=refusal))
        sources.count_delivery(work.session, delivery.id, outcome, error)
        sources.drop_surplus(work.session, feed.source_id, MOST_BODIES)


def _success(feed: StoredFeed, document: FetchedDocument, contents: Feed | None) -> PollResult:
    answer = PollAnswer(
        retry_after_s=parse_retry_after(document.headers.get("retry-after", "")),
        minutes_between_polls=(contents or feed).minutes_between_polls,
        has_hub=feed.hub_until is not None,
    )
    return PollResult(
        source_id=feed.source_id, wait_s=next_wait(answer), address=document.permanent_address
    )


def _failure(feed: StoredFeed, reason: str, document: FetchedDocument | None = None) -> PollResult:
    header = document.headers.get("retry-after", "") if document else ""
    failures = feed.failures + 1
    answer = PollAnswer(failures=failures, retry_after_s=parse_retry_after(header))
    return PollResult(
        source_id=feed.source_id, wait_s=next_wait(answer), failures=failures, error=reason
    )


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
