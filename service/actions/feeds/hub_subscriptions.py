"""WebSub (W3C Recommendation, 2018): feeds that announce a hub are pushed to us as they change.

A subscription is asked for, verified by the hub at our callback, and renewed before its lease ends.
Polling goes on all the while, hourly instead of every few minutes; without a lease as ever.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import structlog
from sqlmodel import Session

from service.actions.feeds.feed_polling import Polling, take_body
from service.domain.errors import Unauthenticated, no_such, require
from service.domain.network import is_public_host
from service.fetching.fetch import FetchedDocument, FetchRequest
from service.fetching.fetch_errors import FetchFailed
from service.formats.hooks.signatures import SignatureCheck, SignatureScheme, check_signature
from service.sealing import seal, unseal
from service.store.session import transaction
from service.store.stories import feeds, sources
from service.store.stories.feeds import StoredFeed
from service.unit_of_work import UnitOfWork, unit_of_work

log = structlog.get_logger()

LEASE_WISH_S = 10 * 24 * 60 * 60
LONGEST_LEASE_S = 30 * 24 * 60 * 60
RENEWAL_MARGIN_S = 24 * 60 * 60
RENEWALS_AT_ONCE = 20
MOST_ANSWER_BYTES = 64 * 1024
INTENT_VALID_FOR = timedelta(days=1)
_ACCEPTED = frozenset({200, 202, 204})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a hub asks us to confirm (section 5.3), or says that it has denied."""

    mode: str
    topic: str
    challenge: str = ""
    lease_s: int = 0


def renew_subscriptions(polling: Polling) -> None:
    """Ask the hubs of feeds that have none of our subscriptions, or one that ends soon."""
    with transaction(polling.engine) as session:
        due = feeds.subscriptions_to_renew(session, RENEWAL_MARGIN_S, RENEWALS_AT_ONCE)
    for feed in due:
        if _can_reach_us(polling.settings.public_url, feed.hub):
            subscribe(polling, feed)


def subscribe(polling: Polling, feed: StoredFeed) -> None:
    """Ask a hub to push this feed. A renewal keeps token and secret, so no push is lost."""
    keys, owner = polling.settings.seal_keys, str(feed.source_id)
    token = feed.hub_token or secrets.token_urlsafe(24)
    secret = unseal(keys, feed.hub_secret, owner).decode() or secrets.token_urlsafe(32)
    with unit_of_work(polling.engine, polling.broker) as work:
        feeds.save_subscription(
            work.session,
            feed.source_id,
            hub_token=token,
            hub_secret=seal(keys, secret, owner),
            hub_asked_at=work.now,
        )
    form = {
        "hub.callback": f"{polling.settings.public_url}/api/websub/{token}",
        "hub.mode": "subscribe",
        "hub.topic": feed.hub_topic,
        "hub.secret": secret,
        "hub.lease_seconds": str(LEASE_WISH_S),
    }
    request = FetchRequest(
        address=feed.hub, most_bytes=MOST_ANSWER_BYTES, form=urlencode(form).encode()
    )
    try:
        status = polling.fetcher.fetch(request).status
    except FetchFailed as failure:
        log.warning("hub not asked", hub=feed.hub, reason=failure.reason)
        return
    if status not in _ACCEPTED:
        log.warning("hub refused", hub=feed.hub, status=status)


def confirm_intent(work: UnitOfWork, token: str, intent: Intent) -> str:
    """Return the challenge when the hub asks about a subscription that we want, else refuse."""
    feed = require(feeds.by_token(work.session, token), "subscription")
    if intent.topic != feed.hub_topic:
        raise no_such("subscription")
    if intent.mode == "denied":
        feeds.save_subscription(work.session, feed.source_id, hub_until=None)
        return ""
    is_recent = feed.hub_asked_at is not None and feed.hub_asked_at > work.now - INTENT_VALID_FOR
    if intent.mode != "subscribe" or not feed.hub or not is_recent:
        raise no_such("subscription")
    lease = timedelta(seconds=min(max(intent.lease_s, 60), LONGEST_LEASE_S))
    feeds.save_subscription(work.session, feed.source_id, hub_until=work.now + lease)
    return intent.challenge


def require_subscription(session: Session, token: str) -> StoredFeed:
    """Return the feed whose hub calls us under this token; raises `NotFound`."""
    return require(feeds.by_token(session, token), "subscription")


def take_push(polling: Polling, token: str, headers: Mapping[str, str], body: bytes) -> None:
    """Take in what a hub pushed; nothing of it is read unless its signature is sound."""
    with unit_of_work(polling.engine, polling.broker) as work:
        feed = require_subscription(work.session, token)
        source = sources.get(work.session, feed.source_id)
        now = work.now
    secret = unseal(polling.settings.seal_keys, feed.hub_secret, str(feed.source_id))
    check = check_signature(SignatureScheme.HUB, headers, body, [secret], now)
    if check is not SignatureCheck.SOUND:
        raise Unauthenticated("The push is not signed with the secret of this subscription.")
    if source is None or source.paused:
        return
    content_type = {"content-type": headers.get("content-type", "")}
    document = FetchedDocument(status=200, headers=content_type, body=body, address=feed.address)
    result = take_body(polling, feed, document, is_pushed=True)
    with transaction(polling.engine) as session:
        feeds.save_results(session, [result])


def _can_reach_us(public_url: str, hub: str) -> bool:
    """Whether the hub could call us: a public one cannot reach a site on this machine."""
    site, hub_host = urlsplit(public_url).hostname or "", urlsplit(hub).hostname or ""
    return is_public_host(site) or not is_public_host(hub_host)
