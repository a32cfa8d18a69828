"""Stories over JSON. A STORY ENTERS HERE: `POST /api/stories`."""

from typing import Annotated, Literal

from fastapi import Query, Response, status
from pydantic import BaseModel, Field, StrictInt

from service.actions import ingest, story_text
from service.actions import stories as story_actions
from service.actions.ingest import StorySubmission
from service.actions.topics.topic_names import resolve_path
from service.domain.errors import NotFound, no_such, require
from service.domain.media.pictures import own_path, whole_address, with_whole_addresses
from service.domain.story import Outcome, Story, StoryState, StoryText, readable
from service.domain.topic import parse_path
from service.http.api_document import Router
from service.http.auth import StoryWriter
from service.http.dependencies import (
    Closed,
    Cursor,
    Id,
    Limit,
    Listing,
    Moment,
    SettingsDep,
    WorkDep,
    at_most,
)
from service.store.stories import stories

router = Router(prefix="/api/stories", tags=["stories"])
Words = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Only stories that hold these words, however they are typed; where none does, "
        "at most one page of those whose names are like them.",
    ),
]
TopicFilter = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Only stories of this topic and of all below it; a path, or a code such as "
        "`medtop:15000000`.",
    ),
]


class StoryIn(Closed):
    """A story as its sender writes it. A member left out is the same as null."""

    headline: str = Field(
        examples=["Grid holds through the storm"],
        description="One line of text: entities are decoded, tags left out.",
    )
    body: str = Field(
        description=(
            "HTML or plain text, at most 1 MiB; kept as safe HTML. Relative addresses are resolved "
            "against `source_uri` if that is a web address; pictures come over https."
        )
    )
    summary: str | None = Field(None, description="One line of text, as the headline.")
    topics: Annotated[list[str], at_most(story_text.MAX_TOPICS)] | None = Field(
        None, examples=[["weather", "world/ukraine"]]
    )
    language: str | None = Field(None, description="BCP 47; `en` when left out.")
    source_uri: str | None = Field(None, description="The sender's own name of the story.")
    version: Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] | None = None
    author: str | None = None
    image_url: str | None = Field(
        None, description="Over https, or the `url` of a picture from `POST /api/media`."
    )
    image_alt: str | None = Field(
        None, description="What the picture shows, for those who do not see it; one line of text."
    )
    urgency: Annotated[StrictInt, Field(ge=1, le=9)] | None = Field(
        None, description="The agencies' scale: 1 is a flash."
    )
    embargo_until: Moment | None = None
    expires_at: Moment | None = None
    state: Literal["published", "draft"] = "published"

    def submission(self, site: str) -> StorySubmission:
        """Return the story as a domain value; a picture at `site` by its path."""
        text = StoryText(
            headline=self.headline,
            body=self.body,
            summary=self.summary or "",
            topics=tuple(self.topics or ()),
            language=self.language or "en",
            author=self.author or "",
            image_url=own_path(self.image_url, site) if self.image_url else None,
            image_alt=self.image_alt,
            urgency=self.urgency,
            embargo_until=self.embargo_until,
            expires_at=self.expires_at,
        )
        return StorySubmission(
            text=text,
            state=StoryState(self.state),
            source_uri=self.source_uri,
            version=self.version,
        )


class IngestedOut(BaseModel):
    """What became of an incoming story."""

    id: Id
    slug: str
    url: str
    version: int
    outcome: Outcome


class StoryHead(BaseModel):
    """A story as lists show it: everything but its body."""

    id: Id
    slug: str
    url: str
    version: int
    state: StoryState
    headline: str
    summary: str
    topics: list[str]
    language: str
    author: str
    image_url: str | None
    image_alt: str | None
    urgency: int | None
    published_at: Moment | None
    updated_at: Moment
    expires_at: Moment | None


class StoryOut(StoryHead):
    """A story with its body, safe HTML."""

    body: str


def _head(story: Story, site: str) -> StoryHead:
    return StoryHead.model_validate(_members(story, site))


def _whole(story: Story, site: str) -> StoryOut:
    body = with_whole_addresses(story.text.body, site)
    return StoryOut.model_validate(_members(story, site) | {"body": body})


def _members(story: Story, site: str) -> dict[str, object]:
    text = story.text
    return {
        "id": story.id,
        "slug": story.slug,
        "url": stories.url(site, story.slug),
        "version": story.version,
        "state": story.state,
        "headline": text.headline,
        "summary": text.summary,
        "topics": text.topics,
        "language": text.language,
        "author": text.author,
        "image_url": whole_address(text.image_url, site),
        "image_alt": text.image_alt,
        "urgency": text.urgency,
        "published_at": story.published_at,
        "updated_at": story.updated_at,
        "expires_at": text.expires_at,
    }


@router.post("", status_code=status.HTTP_201_CREATED, responses={200: {"model": IngestedOut}})
def take_in_story(
    body: StoryIn, work: WorkDep, settings: SettingsDep, caller: StoryWriter, response: Response
) -> IngestedOut:
    """Take in a story, 201 when it is new and 200 when it is known.

    A story is known by its `source_uri`. A lower version, or the same one with other text, is
    ignored; without a version a different text is the next one. Unknown topics are created.
    """
    result = ingest.ingest(work, body.submission(settings.public_url), caller)
    if result.outcome is not Outcome.CREATED:
        response.status_code = status.HTTP_200_OK
    story = result.story
    response.headers["Location"] = f"/api/stories/{story.id}"
    return IngestedOut(
        id=story.id,
        slug=story.slug,
        url=stories.url(settings.public_url, story.slug),
        version=story.version,
        outcome=result.outcome,
    )


@router.get("")
def list_stories(
    work: WorkDep,
    settings: SettingsDep,
    topic: TopicFilter = None,
    q: Words = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listing[StoryHead]:
    """List the published stories, the newest first, without their bodies; with `q`, search them."""
    path = _topic_path(work, topic)
    if q is None:
        results = stories.newest(work.session, path, cursor, limit)
    else:
        results = stories.search(work.session, q, path, cursor, limit)
    items = results.items
    if q and not items and cursor is None:
        items = stories.similar(work.session, q, path, limit)
    heads = [_head(story, settings.public_url) for story in items]
    return Listing(items=heads, next=results.next)


@router.get("/{story_id}")
def read_story(story_id: Id, work: WorkDep, settings: SettingsDep) -> StoryOut:
    """Return one published story."""
    return _whole(_require_public(work, story_id), settings.public_url)


@router.get("/{story_id}/next")
def read_next_story(
    story_id: Id, work: WorkDep, settings: SettingsDep, topic: TopicFilter = None
) -> StoryOut:
    """Return the next older published story, of `topic` if one is named; 404 at the end."""
    path = _topic_path(work, topic)
    following = stories.next_older(work.session, _require_public(work, story_id), path)
    if following is None:
        raise NotFound("This is the oldest story.")
    return _whole(following, settings.public_url)


@router.post("/{story_id}/retract")
def retract_story(
    story_id: Id, work: WorkDep, settings: SettingsDep, caller: StoryWriter
) -> StoryOut:
    """Take a story back: its page is gone, its scheduled and running alerts stop."""
    return _whole(story_actions.retract(work, story_id, caller), settings.public_url)


def _topic_path(work: WorkDep, topic: str | None) -> str | None:
    return None if topic is None else parse_path(resolve_path(work.session, topic), "topic")


def _require_public(work: WorkDep, story_id: int) -> Story:
    story = require(stories.get(work.session, story_id), "story")
    if not readable(story, work.now):
        raise no_such("story")
    return story
