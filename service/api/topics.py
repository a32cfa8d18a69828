"""Topics over JSON: what readers may follow."""

from fastapi import APIRouter, Response, status
from pydantic import BaseModel, Field

from service.actions import story_text
from service.domain.topic import Topic, parse_path
from service.http.auth import AdminCaller
from service.http.dependencies import Closed, Cursor, Limit, Listing, WorkDep
from service.store.staff import audit
from service.store.stories import topics

router = APIRouter(prefix="/api/topics", tags=["topics"])
MAX_LABEL = 120


class TopicIn(Closed):
    """A topic to be made, or named."""

    path: str = Field(examples=["sport/tennis"])
    label: str | None = Field(None, examples=["Tennis"])


class TopicOut(BaseModel):
    """A topic; `followers` counts the readers who follow it itself, not those of its parents."""

    path: str
    label: str
    parent: str | None
    followers: int


def _out(topic: Topic) -> TopicOut:
    return TopicOut(
        path=topic.path, label=topic.label, parent=topic.parent, followers=topic.followers
    )


@router.get("")
def listed(work: WorkDep, cursor: Cursor = None, limit: Limit = 50) -> Listing[TopicOut]:
    """List the topics, parents before their children."""
    found = topics.page(work.session, cursor, limit)
    return Listing(items=[_out(topic) for topic in found.items], next=found.next)


@router.post("", status_code=status.HTTP_201_CREATED, responses={200: {"model": TopicOut}})
def add(sent: TopicIn, work: WorkDep, caller: AdminCaller, response: Response) -> TopicOut:
    """Make a topic with all above it: 201; or name one that exists: 200."""
    path = parse_path(sent.path, "path")
    words = story_text.plain_line(sent.label or "", "label", MAX_LABEL)
    known = path in topics.by_paths(work.session, [path])
    topics.ensure(work.session, [path])
    if words:
        topics.label(work.session, path, words)
    audit.write(work.session, caller.name, "name topic", f"topic:{path}", label=words)
    if known:
        response.status_code = status.HTTP_200_OK
    topic = topics.by_paths(work.session, [path])[path]
    return _out(topics.with_followers(work.session, [topic])[0])
