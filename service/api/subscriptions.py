"""The topics a reader follows: `sport/tennis`, or `story/<id>` for one story."""

from fastapi import Response
from pydantic import BaseModel

from service.actions import readers as reader_actions
from service.domain.subscription import Subscription, Urgency
from service.http.api_document import Router
from service.http.auth import CurrentReader
from service.http.dependencies import Closed, Cursor, Limit, Listing, Moment, WorkDep, page
from service.store.readers import subscriptions

router = Router(prefix="/api/me/subscriptions", tags=["readers"])


class Terms(Closed):
    """The terms of a subscription; a term left out gets its default, not its old value."""

    least_urgency: Urgency = Urgency.QUIET
    muted_until: Moment | None = None


class SubscriptionShown(BaseModel):
    """A topic followed, and on which terms."""

    topic: str
    least_urgency: Urgency
    muted_until: Moment | None


@router.get("")
def list_subscriptions(
    work: WorkDep, reader: CurrentReader, cursor: Cursor = None, limit: Limit = 50
) -> Listing[SubscriptionShown]:
    """List what the reader follows, in the order of the topics' paths."""
    results = subscriptions.page(work.session, reader.id, cursor, limit)
    return page(
        [subscription_shown(subscription) for subscription in results.items],
        results.next,
    )


@router.get("/{topic:path}")
def show_subscription(work: WorkDep, reader: CurrentReader, topic: str) -> SubscriptionShown:
    """Show one subscription; 404 when the reader does not follow the topic."""
    return subscription_shown(reader_actions.get_subscription(work, reader, topic))


@router.put(
    "/{topic:path}",
    responses={
        200: {"description": "Known before"},
        201: {"description": "New", "model": SubscriptionShown},
    },
)
def follow_topic(
    work: WorkDep,
    reader: CurrentReader,
    topic: str,
    response: Response,
    body: Terms | None = None,
) -> SubscriptionShown:
    """Follow a topic and all below it, or change the terms on which it is followed.

    A code of the Media Topics, `medtop:15000000`, stands for the path of its topic.
    """
    terms = body or Terms()
    subscription, is_new = reader_actions.follow(
        work, reader, topic, terms.least_urgency, terms.muted_until
    )
    response.status_code = 201 if is_new else 200
    return subscription_shown(subscription)


@router.delete("/{topic:path}", status_code=204, response_class=Response)
def unfollow_topic(work: WorkDep, reader: CurrentReader, topic: str) -> None:
    """Stop following a topic; 404 only when there is no such topic."""
    reader_actions.unfollow(work, reader, topic)


def subscription_shown(subscription: Subscription) -> SubscriptionShown:
    """Return a subscription as its reader sees it."""
    return SubscriptionShown(
        topic=subscription.topic,
        least_urgency=subscription.least_urgency,
        muted_until=subscription.muted_until,
    )
