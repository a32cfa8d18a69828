"""Feeds for programs: RSS 2.0, JSON Feed 1.1 and the news sitemap."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Query, Request, Response
from sqlmodel import Session

from service.actions.topics.topic_names import resolve_path
from service.domain import topic as topic_paths
from service.domain.errors import no_such
from service.domain.media.pictures import whole_address, with_whole_addresses
from service.domain.story import Story, StoryText
from service.domain.topic import Topic
from service.http.api_document import Router
from service.settings import Settings
from service.store.session import transaction
from service.store.stories import stories, topics
from service.web import lookups
from service.web.formatting import cut, iso, plain
from service.web.page_cache import PublicText, current_text, page_address
from service.web.rendering import renderer

router = Router(in_document=False)
ITEMS = 50
LONGEST_BODY = 256 * 1024
MAX_BODIES = 2 * 1024 * 1024
"""Bytes of one body, and of all bodies in a feed; what is over them is told by its summary."""
SITEMAP_ITEMS = 1000
SITEMAP_PAGE = 200
SITEMAP_AGE = timedelta(days=2)
"""Google News reads stories of the last two days."""
_Topic = Annotated[str | None, Query(max_length=topic_paths.MAX_PATH)]
_METHODS = ["GET", "HEAD"]


@router.api_route("/feed.xml", methods=_METHODS)
async def rss(request: Request, topic: _Topic = None) -> Response:
    """Return the newest stories as RSS: all of them, or those of one topic."""
    site = request.app.state.settings.public_url

    def write_feed(session: Session) -> PublicText:
        items, subject = _newest(session, topic, site)
        text = renderer(request).text(
            "feed.xml",
            stories=items,
            topic=subject,
            labels=lookups.story_labels(session, items),
            summary_of=summary_of,
            story_tag=story_tag,
        )
        return PublicText.of(text, "application/rss+xml")

    return await _respond(request, write_feed, topic=topic)


@router.api_route("/feed.json", methods=_METHODS)
async def json_feed(request: Request, topic: _Topic = None) -> Response:
    """Return the newest stories as JSON Feed."""
    site = request.app.state.settings.public_url

    def write_feed(session: Session) -> PublicText:
        items, subject = _newest(session, topic, site)
        labels = lookups.story_labels(session, items)
        feed = _json_feed(request.app.state.settings, items, subject, labels)
        return PublicText.of(json.dumps(feed, ensure_ascii=False), "application/feed+json")

    return await _respond(request, write_feed, topic=topic)


@router.api_route("/sitemap-news.xml", methods=_METHODS)
async def sitemap(request: Request) -> Response:
    """Return the stories of the last two days for search engines."""

    def write_sitemap(session: Session) -> PublicText:
        since = datetime.now(UTC) - SITEMAP_AGE
        items: list[Story] = []
        cursor = None
        while len(items) < SITEMAP_ITEMS:
            page = stories.newest(session, None, cursor, SITEMAP_PAGE)
            recent = [story for story in page.items if (story.published_at or since) > since]
            items += recent
            cursor = page.next
            if cursor is None or len(recent) < len(page.items):
                break
        text = renderer(request).text("sitemap-news.xml", stories=items[:SITEMAP_ITEMS])
        return PublicText.of(text, "application/xml")

    return await _respond(request, write_sitemap)


def _newest(session: Session, topic: str | None, site: str) -> tuple[list[Story], Topic | None]:
    if topic is None:
        page = stories.newest(session, limit=ITEMS, longest_body=LONGEST_BODY)
        return _bounded(page.items, site), None
    path = topic_paths.parse_path(resolve_path(session, topic), "topic")
    topics_by_path = topics.by_paths(session, [path])
    if path not in topics_by_path:
        raise no_such("topic")
    page = stories.newest(session, path, limit=ITEMS, longest_body=LONGEST_BODY)
    return _bounded(page.items, site), topics_by_path[path]


def _bounded(items: list[Story], site: str) -> list[Story]:
    """Return the stories with as many bodies, from the newest on, as a feed may hold.

    Pictures of ours have whole addresses there.
    """
    room = MAX_BODIES
    bounded = []
    for story in items:
        room -= len(story.text.body.encode())
        body = with_whole_addresses(story.text.body, site) if room >= 0 else ""
        picture = whole_address(story.text.image_url, site)
        bounded.append(replace(story, text=replace(story.text, body=body, image_url=picture)))
    return bounded


def _json_feed(
    settings: Settings, items: list[Story], subject: Topic | None, labels: dict[str, str]
) -> dict[str, Any]:
    site, hub = settings.public_url, settings.websub_hub
    query = f"?topic={subject.path}" if subject else ""
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": f"{settings.site_name}: {subject.label}" if subject else settings.site_name,
        "home_page_url": f"{site}/topics/{subject.path}" if subject else f"{site}/",
        "feed_url": f"{site}/feed.json{query}",
        "icon": f"{site}/icon-512.png",
        **({"hubs": [{"type": "WebSub", "url": hub}]} if hub else {}),
        "items": [_json_item(site, story, labels) for story in items],
    }


def _json_item(site: str, story: Story, labels: dict[str, str]) -> dict[str, Any]:
    url = f"{site}/stories/{story.slug}"
    item: dict[str, Any] = {
        "id": story_tag(site, story),
        "url": url,
        "title": story.text.headline,
        **_json_content(story.text),
        "language": story.text.language,
        "date_published": iso(story.published_at or story.created_at),
        "date_modified": iso(story.updated_at),
        "tags": [labels.get(path, path) for path in story.text.topics],
    }
    if story.text.summary:
        item["summary"] = story.text.summary
    if story.text.author:
        item["authors"] = [{"name": story.text.author}]
    if story.text.image_url:
        item["image"] = story.text.image_url
    return item


def _json_content(text: StoryText) -> dict[str, str]:
    """Return what an item says; JSON Feed 1.1 asks for HTML or for text."""
    return {"content_html": text.body} if text.body else {"content_text": summary_of(text)}


def story_tag(site: str, story: Story) -> str:
    """Return a story's name in feeds as a tag URI (RFC 4151), the same over http and https."""
    day = story.created_at.astimezone(UTC)
    return f"tag:{urlsplit(site).hostname},{day:%Y-%m-%d}:story:{story.id}"


def summary_of(text: StoryText) -> str:
    """Return what stands for a body that a feed does not hold."""
    return text.summary or cut(plain(text.body), 300) or text.headline


async def _respond(
    request: Request, write: Callable[[Session], PublicText], topic: str | None = None
) -> Response:
    """Return a feed: the same for everyone, cookie or not, and from memory during a rush."""
    address = page_address(request.url.path, topic=topic)
    text = await current_text(request, address, _read_and_write, request, write)
    return text.respond(request)


def _read_and_write(request: Request, write: Callable[[Session], PublicText]) -> PublicText:
    with transaction(request.app.state.engine) as session:
        return write(session)
