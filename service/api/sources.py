"""Sources over JSON: other systems that may send stories, and what they sent."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import Path, status
from pydantic import BaseModel, Field

from service.actions import sources as source_actions
from service.actions.feeds.feed_addition import store_feed
from service.actions.hook_deliveries import FEED, replay_delivery
from service.actions.sources import SourceChange
from service.api.ingest import IngestAnswer, show_document
from service.domain.errors import Invalid
from service.domain.sources.alert_rule import AlertMode, make_alert_rule
from service.domain.subscription import Urgency
from service.formats.hooks.signatures import SignatureScheme
from service.formats.links import absolute_link
from service.http.api_document import Router
from service.http.auth import StoryWriter
from service.http.dependencies import (
    Closed,
    Cursor,
    Id,
    Limit,
    Line,
    Listing,
    Moment,
    SettingsDep,
    WorkDep,
    at_most,
)
from service.settings import Settings
from service.store.stories import feeds, sources
from service.store.stories.feeds import StoredFeed
from service.store.stories.sources import Source

router = Router(prefix="/api/admin/sources", tags=["sources"])
SourceId = Annotated[Id, Path()]
Secret = Annotated[str, Field(min_length=16, max_length=200, description="Write-only.")]
Topics = Annotated[list[Line], at_most(50)]


class FieldMapIn(Closed):
    """Where a custom source's JSON has what a story needs: field names to JSON paths."""

    fields: Annotated[dict[Line, Line], at_most(20)]
    stories: Line = ""
    statuses: Annotated[dict[Line, Line], at_most(20)] = Field(default_factory=dict)


class AlertRuleIn(Closed):
    """How the source's alerts are sent: at most so many a day, so far apart, between these hours.

    Equal hours mean the whole day. What the rule holds back stands on the desk as a suggestion.
    """

    urgency: Urgency | None = None
    most_a_day: int | None = None
    minutes_apart: int | None = None
    from_hour: int | None = None
    until_hour: int | None = None
    timezone: Line | None = None


class SourcePatch(Closed):
    """What may change of a source. A member left out stays as it is."""

    secret: Secret | None = None
    signature: SignatureScheme | None = Field(None, description="Left out: as the kind signs.")
    topics: Topics | None = None
    language: Line | None = None
    publish: bool | None = Field(None, description="Otherwise its stories come in as drafts.")
    alert: AlertMode | None = Field(
        None, description="What a new story leads to: nothing, a suggestion on the desk, an alert."
    )
    alert_rule: AlertRuleIn | None = None
    categories: Annotated[dict[Line, Line], at_most(200)] | None = Field(
        None, description="The sender's words to topic paths."
    )
    keep_old_secret_hours: int | None = Field(
        None, ge=1, le=24 * 7, description="How long the secret before signs beside a new one."
    )
    paused: bool | None = None
    field_map: FieldMapIn | None = Field(None, description="Of a custom source.")

    def change(self, now: datetime) -> SourceChange:
        """Return the change as a value of the actions."""
        names = {"secret", "kind", "name", "address", "keep_old_secret_hours"}
        values = self.model_dump(exclude=names, exclude_none=True)
        hours = self.keep_old_secret_hours
        return SourceChange(
            secret=self.secret,
            old_secret_until=now + timedelta(hours=hours) if hours else None,
            values=values,
        )


class SourceIn(SourcePatch):
    """A new source: a webhook at `/api/hooks/{name}`, or a feed, which we poll."""

    kind: Literal["superdesk", "ghost", "wordpress", "custom", "feed"]
    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", examples=["our-wordpress"])
    address: Line | None = Field(None, description="Of a feed.")


class FeedOut(BaseModel):
    """How the polls of a feed went. `error` is empty while they succeed."""

    polled_at: Moment | None
    changed_at: Moment | None
    next_poll_at: Moment | None
    failures: int
    error: str
    hub_until: Moment | None = Field(description="Until when its WebSub hub pushes it to us.")


class SourceOut(BaseModel):
    """A source without its secret. `url` is where it posts to, or where its feed is."""

    id: Id
    kind: str
    name: str
    url: str
    signature: str
    has_secret: bool
    topics: list[str]
    language: str
    publish: bool
    alert: AlertMode
    alert_rule: AlertRuleIn
    categories: dict[str, str]
    paused: bool
    field_map: dict[str, object]
    feed: FeedOut | None


class SourceDeliveryOut(BaseModel):
    """An authentic delivery: how often it came, what became of it last, and what was wrong."""

    id: Id
    times: int
    outcome: str
    error: str
    received_at: Moment


def _out(source: Source, settings: Settings, feed: StoredFeed | None) -> SourceOut:
    rule = make_alert_rule(source.alert_rule)
    return SourceOut(
        id=source.id,
        kind=source.kind,
        name=source.name,
        url=feed.address if feed else f"{settings.public_url}/api/hooks/{source.name}",
        signature=source.signature,
        has_secret=source.secret is not None,
        topics=list(source.topics),
        language=source.language,
        publish=source.publish,
        alert=AlertMode(source.alert),
        alert_rule=AlertRuleIn(**rule.as_values()),
        categories=source.categories,
        paused=source.paused,
        field_map=source.field_map,
        feed=_feed_out(feed) if feed else None,
    )


def _feed_out(feed: StoredFeed) -> FeedOut:
    return FeedOut(
        polled_at=feed.polled_at,
        changed_at=feed.changed_at,
        next_poll_at=feed.poll_at,
        failures=feed.failures,
        error=feed.error,
        hub_until=feed.hub_until,
    )


@router.get("")
def list_sources(
    work: WorkDep,
    settings: SettingsDep,
    _caller: StoryWriter,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listing[SourceOut]:
    """List the sources by name, without their secrets."""
    results = sources.page(work.session, cursor, limit)
    polled = feeds.of_sources(work.session, [one.id for one in results.items])
    items = [_out(one, settings, polled.get(one.id)) for one in results.items]
    return Listing(items=items, next=results.next)


@router.post("", status_code=status.HTTP_201_CREATED)
def add_source(
    body: SourceIn, work: WorkDep, settings: SettingsDep, caller: StoryWriter
) -> SourceOut:
    """Add a source. Without a secret its webhook refuses everything; a feed needs its address."""
    is_feed = body.kind == FEED
    if is_feed != (body.address is not None):
        raise Invalid("address", "A feed needs its address, and no other source has one.")
    change = body.change(work.now)
    source = source_actions.add_source(
        work, body.kind, body.name, change, settings.seal_keys, caller
    )
    if body.address is not None:
        address = absolute_link(body.address, None)
        if address is None:
            raise Invalid("address", "This is no address of a feed.")
        store_feed(work, source, address)
    return _out(source, settings, feeds.get(work.session, source.id))


@router.patch("/{source_id}")
def change_source(
    source_id: SourceId,
    body: SourcePatch,
    work: WorkDep,
    settings: SettingsDep,
    caller: StoryWriter,
) -> SourceOut:
    """Change a source: a new secret takes the place of the old one, at once unless told."""
    source = source_actions.change_source(
        work, source_id, body.change(work.now), settings.seal_keys, caller
    )
    return _out(source, settings, feeds.get(work.session, source.id))


@router.delete("/{source_id}", status_code=status.HTTP_204_NO_CONTENT)
def remove_source(source_id: SourceId, work: WorkDep, caller: StoryWriter) -> None:
    """Remove a source and its deliveries; its stories stay."""
    source_actions.remove_source(work, source_id, caller)


@router.get("/{source_id}/deliveries")
def list_deliveries(
    source_id: SourceId,
    work: WorkDep,
    _caller: StoryWriter,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listing[SourceDeliveryOut]:
    """List what a source sent in the last seven days, the latest first."""
    results = sources.deliveries(work.session, source_id, cursor, limit)
    items = [SourceDeliveryOut.model_validate(one, from_attributes=True) for one in results.items]
    return Listing(items=items, next=results.next)


@router.post("/{source_id}/deliveries/{delivery_id}/replay")
def replay(
    source_id: SourceId,
    delivery_id: Annotated[Id, Path()],
    work: WorkDep,
    settings: SettingsDep,
    caller: StoryWriter,
) -> IngestAnswer:
    """Take in a kept delivery once more; it is judged as if it came now."""
    result = replay_delivery(work, source_id, delivery_id, caller, settings)
    if result.refusal is not None:
        raise result.refusal
    return show_document(result.document, settings.public_url)
