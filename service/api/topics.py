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
    """A topic to create or to rename."""

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
def list_topics(work: WorkDep, cursor: Cursor = None, limit: Limit = 50) -> Listing[TopicOut]:
    """List the topics, parents before their children."""
    results = topics.page(work.session, cursor, limit)
    return Listing(items=[_out(topic) for topic in results.items], next=results.next)


@router.post("", status_code=status.HTTP_201_CREATED, responses={200: {"model": TopicOut}})
def add_topic(body: TopicIn, work: WorkDep, caller: AdminCaller, response: Response) -> TopicOut:
    """Create a topic and its missing ancestors (201), or label an existing one (200)."""
    path = parse_path(body.path, "path")
    label = story_text.plain_line(body.label or "", "label", MAX_LABEL)
    exists = path in topics.by_paths(work.session, [path])
    topics.ensure(work.session, [path])
    if label:
        topics.label(work.session, path, label)
    audit.write(work.session, caller.name, "name topic", f"topic:{path}", label=label)
    if exists:
        response.status_code = status.HTTP_200_OK
    topic = topics.by_paths(work.session, [path])[path]
    return _out(topics.with_followers(work.session, [topic])[0])
