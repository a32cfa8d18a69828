"""A reader's subscriptions: listed, followed and ended in groups."""

from collections.abc import Sequence

from pydantic import TypeAdapter
from sqlmodel import Session

from service.actions import readers as reader_actions
from service.api.subscriptions import SubscriptionShown, Terms, subscription_shown
from service.domain.subscription import Subscription
from service.domain.topic import STORY_PREFIX
from service.hot.call import NO_CONTENT, Answer, Call, OrdinaryPath, json_answer
from service.hot.group_commit import GroupCommit
from service.http.dependencies import Listing
from service.store.readers.subscription_groups import (
    Follow,
    first_pages,
    follow_all,
    unfollow_all,
)

PATH = "/api/me/subscriptions"
PREFIX = PATH + "/"
PAGE = 50
MARGIN = 100
"""Who is that near to the limit is counted under a lock, on the ordinary path.

A process adds one subscription of a reader at a time, so a hundred processes would have to do so at
the same moment before a reader could follow more than we keep.
"""
_TERMS = TypeAdapter(Terms)

FollowGroup = GroupCommit[Follow, bool]
UnfollowGroup = GroupCommit[tuple[bytes, str], bool]
PageGroup = GroupCommit[bytes, list[Subscription]]


def write_follows(session: Session, follows: Sequence[Follow]) -> Sequence[bool | None]:
    """Let readers follow topics, but for those who follow nearly as many as we keep."""
    return follow_all(session, follows, reader_actions.MAX_SUBSCRIPTIONS - MARGIN)


def end_follows(session: Session, pairs: Sequence[tuple[bytes, str]]) -> Sequence[bool | None]:
    """End subscriptions."""
    return unfollow_all(session, pairs)


def find_pages(session: Session, hashes: Sequence[bytes]) -> Sequence[list[Subscription] | None]:
    """Return the first page of each reader's subscriptions, with one more that says it goes on."""
    return first_pages(session, hashes, PAGE + 1)


class SubscriptionCalls:
    """Answers for subscriptions."""

    def __init__(self, pages: PageGroup, follows: FollowGroup, ends: UnfollowGroup) -> None:
        self._pages = pages
        self._follows = follows
        self._ends = ends

    async def show(self, call: Call) -> Answer:
        """List what the reader follows, where one page holds it."""
        if call.scope["query_string"]:
            raise OrdinaryPath
        page = await call.wait_for(self._pages.submit(call.token_hash()))
        if page is None or len(page) > PAGE:
            raise OrdinaryPath
        items = [subscription_shown(subscription) for subscription in page]
        return json_answer(200, Listing[SubscriptionShown](items=items, next=None))

    async def follow(self, call: Call) -> Answer:
        """Follow a topic, or change the terms on which it is followed."""
        terms = call.read_optional(_TERMS) or Terms()
        subscription = Subscription(
            topic=_topic(call), least_urgency=terms.least_urgency, muted_until=terms.muted_until
        )
        is_new = await call.wait_for(self._follows.submit(Follow(call.token_hash(), subscription)))
        if is_new is None:
            raise OrdinaryPath
        return json_answer(201 if is_new else 200, subscription_shown(subscription))

    async def unfollow(self, call: Call) -> Answer:
        """Stop following a topic."""
        if not await call.wait_for(self._ends.submit((call.token_hash(), _topic(call)))):
            raise OrdinaryPath
        return NO_CONTENT


def _topic(call: Call) -> str:
    """Return the path of an ordinary topic.

    A story's own topic may have to be made first, and a code stands for a path.
    """
    name = call.scope["path"].removeprefix(PREFIX)
    if name.startswith(STORY_PREFIX) or ":" in name:
        raise OrdinaryPath
    return reader_actions.normalize_path(name)
