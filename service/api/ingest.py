"""News formats over HTTP: documents of ninjs and NewsML-G2, as agencies and systems send them."""

from typing import Any

from fastapi import Request, Response, status
from pydantic import BaseModel, Field

from service.actions.ingest import SourceRules
from service.actions.ingest_documents import (
    FORMATS,
    IngestedDocument,
    IngestedStory,
    RefusedStory,
    ingest_document,
)
from service.domain.people import Caller
from service.domain.story import Outcome, StoryState
from service.formats.incoming import Flaw
from service.http.admission import run_admitted
from service.http.api_document import Router
from service.http.auth import StoryWriter
from service.http.dependencies import Id
from service.http.problems import FieldError
from service.store.stories import stories
from service.unit_of_work import unit_of_work

router = Router(prefix="/api/ingest", tags=["stories"])


class IngestedItem(BaseModel):
    """What became of one story. A kill of a story that we never had has no id."""

    uri: str = Field(description="The story's name at its sender.")
    id: Id | None
    slug: str | None
    url: str | None
    version: int | None
    state: StoryState | None
    outcome: Outcome
    remarks: list[FieldError] = Field(description="What was repaired or left out, with its place.")


class RefusedItem(BaseModel):
    """A story that could not be taken in; the others of its document are."""

    uri: str
    errors: list[FieldError] = Field(description="JSON or XML paths, and what is wrong there.")


class IngestedItems(BaseModel):
    """Every story of a document, in its order."""

    items: list[IngestedItem | RefusedItem]


IngestAnswer = IngestedItem | IngestedItems
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": IngestAnswer, "description": "A known story, or several stories"},
    201: {"model": IngestedItem, "description": "A new story"},
    413: {"description": "More than 4 MiB, or too many elements"},
    422: {"description": "Nothing could be taken in; `errors` names JSON or XML paths"},
}


def _document(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {media_type: {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


_NINJS = _document(
    "application/json",
    {
        "oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
        "example": {
            "uri": "urn:agency.example:1",
            "version": "1",
            "pubStatus": "usable",
            "headlines": [{"role": "main", "value": "Grid holds through the storm"}],
            "bodies": [{"contentType": "text/html", "value": "<p>All lights on.</p>"}],
            "subjects": [{"uri": "http://cv.iptc.org/newscodes/mediatopic/17000000"}],
        },
    },
)
_NEWSML = _document("application/vnd.iptc.g2.newsitem+xml", {"type": "string"})


@router.post("/ninjs", responses=_ANSWERS, openapi_extra=_NINJS)
async def ingest_ninjs(request: Request, caller: StoryWriter, response: Response) -> IngestAnswer:
    """Take in a ninjs object, or an array of up to 500, of any version.

    A story is known by its `uri`: the same version again is unchanged, a lower one ignored.
    `canceled` and `withheld` retract it and stop its alerts. One story is answered as by
    `POST /api/stories`, several by `items`, each with its outcome or its errors.
    """
    return await _ingest(request, "ninjs", caller, response)


@router.post("/newsml-g2", responses=_ANSWERS, openapi_extra=_NEWSML)
async def ingest_newsml_g2(
    request: Request, caller: StoryWriter, response: Response
) -> IngestAnswer:
    """Take in a NewsML-G2 `newsItem`, `packageItem` or `newsMessage`; otherwise as ninjs."""
    return await _ingest(request, "newsml-g2", caller, response)


async def _ingest(
    request: Request, news_format: str, caller: Caller, response: Response
) -> IngestAnswer:
    """Read the body before anything is held for it, then take its stories in."""
    body = await request.body()
    answer = await run_admitted(request, _take_in, request, news_format, body, caller)
    if isinstance(answer, IngestedItem) and answer.outcome is Outcome.CREATED:
        response.status_code = status.HTTP_201_CREATED
    return answer


def _take_in(request: Request, news_format: str, body: bytes, caller: Caller) -> IngestAnswer:
    document = FORMATS[news_format](body)
    state = request.app.state
    with unit_of_work(state.engine, state.broker) as work:
        results = ingest_document(work, document, SourceRules(), caller)
    return show_document(results, state.settings.public_url)


def show_document(results: IngestedDocument, site: str) -> IngestAnswer:
    """Return what became of one story, or of several in their order."""
    items = [_show(result, site) for result in results]
    first = items[0]
    if len(items) == 1 and isinstance(first, IngestedItem):
        return first
    return IngestedItems(items=items)


def _show(result: IngestedStory | RefusedStory, site: str) -> IngestedItem | RefusedItem:
    if isinstance(result, RefusedStory):
        return RefusedItem(uri=result.uri, errors=_errors(result.flaws))
    story = result.result.story
    return IngestedItem(
        uri=result.incoming.uri,
        id=story.id if story else None,
        slug=story.slug if story else None,
        url=stories.url(site, story.slug) if story else None,
        version=story.version if story else None,
        state=story.state if story else None,
        outcome=result.result.outcome,
        remarks=_errors(result.incoming.remarks),
    )


def _errors(flaws: tuple[Flaw, ...]) -> list[FieldError]:
    return [FieldError(field=flaw.place, detail=flaw.fault) for flaw in flaws]
