"""Sources over JSON: other systems that may send stories, and what they sent."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, Field

from service.actions import sources as source_actions
from service.actions.hook_deliveries import replay_delivery
from service.actions.sources import SourceChange
from service.api.ingest import IngestAnswer, show_document
from service.formats.hooks.signatures import SignatureScheme
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
from service.store.stories import sources
from service.store.stories.sources import Source

router = APIRouter(prefix="/api/admin/sources", tags=["sources"])
SourceId = Annotated[Id, Path()]
Secret = Annotated[str, Field(min_length=16, max_length=200, description="Write-only.")]
Topics = Annotated[list[Line], at_most(50)]


class FieldMapIn(Closed):
    """Where a custom source's JSON has what a story needs: field names to JSON paths."""

    fields: Annotated[dict[Line, Line], at_most(20)]
    stories: Line = ""
    statuses: Annotated[dict[Line, Line], at_most(20)] = Field(default_factory=dict)


class SourcePatch(Closed):
    """What may change of a source. A member left out stays as it is."""

    secret: Secret | None = None
    signature: SignatureScheme | None = Field(None, description="Left out: as the kind signs.")
    topics: Topics | None = None
    language: Line | None = None
    publish: bool | None = Field(None, description="Otherwise its stories come in as drafts.")
    alert: Literal["never"] | None = Field(None, description="No source alerts by itself.")
    paused: bool | None = None
    field_map: FieldMapIn | None = Field(None, description="Of a custom source.")

    def change(self) -> SourceChange:
        """Return the change as a value of the actions."""
        values = self.model_dump(exclude={"alert", "secret"}, exclude_none=True)
        return SourceChange(secret=self.secret, values=values)


class SourceIn(SourcePatch):
    """A new source; its webhook is `/api/hooks/{name}`."""

    kind: Literal["superdesk", "ghost", "wordpress", "custom"]
    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", examples=["our-wordpress"])


class SourceOut(BaseModel):
    """A source without its secret."""

    id: Id
    kind: str
    name: str
    url: str
    signature: str
    has_secret: bool
    topics: list[str]
    language: str
    publish: bool
    alert: Literal["never"]
    paused: bool
    field_map: dict[str, object]


class SourceDeliveryOut(BaseModel):
    """An authentic delivery: how often it came, what became of it last, and what was wrong."""

    id: Id
    times: int
    outcome: str
    error: str
    received_at: Moment


def _out(source: Source, settings: Settings) -> SourceOut:
    return SourceOut(
        id=source.id,
        kind=source.kind,
        name=source.name,
        url=f"{settings.public_url}/api/hooks/{source.name}",
        signature=source.signature,
        has_secret=source.secret is not None,
        topics=list(source.topics),
        language=source.language,
        publish=source.publish,
        alert="never",
        paused=source.paused,
        field_map=source.field_map,
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
    return Listing(items=[_out(one, settings) for one in results.items], next=results.next)


@router.post("", status_code=status.HTTP_201_CREATED)
def add_source(
    body: SourceIn, work: WorkDep, settings: SettingsDep, caller: StoryWriter
) -> SourceOut:
    """Add a source. Without a secret its webhook refuses everything."""
    source = source_actions.add_source(
        work, body.kind, body.name, body.change(), settings.seal_keys, caller
    )
    return _out(source, settings)


@router.patch("/{source_id}")
def change_source(
    source_id: SourceId,
    body: SourcePatch,
    work: WorkDep,
    settings: SettingsDep,
    caller: StoryWriter,
) -> SourceOut:
    """Change a source: a new secret takes the place of the old one at once."""
    source = source_actions.change_source(
        work, source_id, body.change(), settings.seal_keys, caller
    )
    return _out(source, settings)


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
    result = replay_delivery(work, source_id, delivery_id, caller)
    if result.refusal is not None:
        raise result.refusal
    return show_document(result.document, settings.public_url)
