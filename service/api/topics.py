"""Topics over JSON: what readers may follow."""

from collections.abc import Mapping
from typing import Annotated

from annotated_types import MaxLen
from fastapi import Query, Request, Response, status
from pydantic import BaseModel, Field, StringConstraints

from service.actions import story_text
from service.actions.topics.topic_names import labels_in
from service.domain.language import MAX_TAG, parse_accept_language, parse_language
from service.domain.topic import Topic, parse_path
from service.http.api_document import Router
from service.http.auth import AdminCaller
from service.http.dependencies import Closed, Cursor, Limit, Listing, WorkDep
from service.store.staff import audit
from service.store.stories import topic_labels, topics
from service.store.stories.topic_labels import MOST_LANGUAGES

router = Router(prefix="/api/topics", tags=["topics"])
MAX_LABEL = 120


Labels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=1000)]], MaxLen(MOST_LANGUAGES)
]
Language = Annotated[
    str | None,
    Query(
        max_length=MAX_TAG,
        description="The language of the labels, where they have any; BCP 47. Left out: the first "
        "of `Accept-Language`.",
    ),
]


class TopicIn(Closed):
    """A topic to create or to rename."""

    path: str = Field(examples=["sport/tennis"])
    label: str | None = Field(None, examples=["Tennis"])
    labels: Labels | None = Field(
        None,
        examples=[{"de": "Tennis", "fr": "Tennis"}],
        description="Its label in other languages, by BCP 47 tags; an empty one takes it away.",
    )


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
def list_topics(
    work: WorkDep,
    request: Request,
    response: Response,
    lang: Language = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listing[TopicOut]:
    """List the topics, parents before their children, with labels in the reader's language."""
    results = topics.page(work.session, cursor, limit)
    if lang is None:
        response.headers["Vary"] = "Accept-Language"
        languages = parse_accept_language(request.headers.get("accept-language", ""))
        language = next(iter(languages), "")
    else:
        language = parse_language(lang, "lang")
    items = labels_in(work.session, results.items, language)
    return Listing(items=[_out(topic) for topic in items], next=results.next)


@router.post("", status_code=status.HTTP_201_CREATED, responses={200: {"model": TopicOut}})
def add_topic(body: TopicIn, work: WorkDep, caller: AdminCaller, response: Response) -> TopicOut:
    """Create a topic and its missing ancestors (201), or label an existing one (200)."""
    path = parse_path(body.path, "path")
    label = story_text.plain_line(body.label or "", "label", MAX_LABEL)
    exists = path in topics.by_paths(work.session, [path])
    topics.ensure(work.session, [path])
    if label:
        topics.label(work.session, path, label)
    topic = topics.by_paths(work.session, [path])[path]
    topic_labels.replace(work.session, topic.id, _other_labels(body.labels or {}))
    audit.write(work.session, caller.name, "name topic", f"topic:{path}", label=label)
    if exists:
        response.status_code = status.HTTP_200_OK
    return _out(topics.with_followers(work.session, [topic])[0])


def _other_labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {
        parse_language(tag, "labels"): story_text.plain_line(label, "labels", MAX_LABEL)
        for tag, label in labels.items()
    }
