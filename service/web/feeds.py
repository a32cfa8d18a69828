"""Feeds for programs that read: RSS 2.0, JSON Feed 1.1 and the news sitemap."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlmodel import Session

from service.domain import topic as topic_paths
from service.domain.errors import no_such
from service.domain.story import Story
from service.domain.topic import Topic
from service.http.admission import run_admitted
from service.settings import Settings
from service.store.session import transaction
from service.store.stories import stories, topics
from service.web import lookups
from service.web.formatting import iso
from service.web.page_cache import HotPages, Text
from service.web.rendering import renderer

router = APIRouter()
ITEMS = 50
SITEMAP_ITEMS = 1000
SITEMAP_REACHES = timedelta(days=2)
_Topic = Annotated[str | None, Query(max_length=topic_paths.MAX_PATH)]
_METHODS = ["GET", "HEAD"]


@router.api_route("/feed.xml", methods=_METHODS)
async def rss(request: Request, topic: _Topic = None) -> Response:
    """Return the newest stories, of everything or of a topic, as RSS."""

    def make(session: Session) -> Text:
        found, about = _newest(session, topic)
        text = renderer(request).text(
            "feed.xml", stories=found, topic=about, labels=lookups.labels(session, found)
        )
        return Text.of(text, "application/rss+xml")

    return await _answer(request, make)


@router.api_route("/feed.json", methods=_METHODS)
async def json_feed(request: Request, topic: _Topic = None) -> Response:
    """Return the newest stories as JSON Feed."""

    def make(session: Session) -> Text:
        found, about = _newest(session, topic)
        labels = lookups.labels(session, found)
        feed = _feed(request.app.state.settings, found, about, labels)
        return Text.of(json.dumps(feed, ensure_ascii=False), "application/feed+json")

    return await _answer(request, make)


@router.api_route("/sitemap-news.xml", methods=_METHODS)
async def sitemap(request: Request) -> Response:
    """Return the stories of the last two days for search engines."""

    def make(session: Session) -> Text:
        since = datetime.now(UTC) - SITEMAP_REACHES
        found: list[Story] = []
        cursor = None
        while len(found) < SITEMAP_ITEMS:
            page = stories.newest(session, None, cursor, 200)
            fresh = [story for story in page.items if (story.published_at or since) > since]
            found += fresh
            cursor = page.next
            if cursor is None or len(fresh) < len(page.items):
                break
        text = renderer(request).text("sitemap-news.xml", stories=found[:SITEMAP_ITEMS])
        return Text.of(text, "application/xml")

    return await _answer(request, make)


def _newest(session: Session, path: str | None) -> tuple[list[Story], Topic | None]:
    if path is None:
        return stories.newest(session, limit=ITEMS, body=True).items, None
    wanted = topic_paths.parse_path(path, "topic")
    known = topics.by_paths(session, [wanted])
    if wanted not in known:
        raise no_such("topic")
    return stories.newest(session, wanted, limit=ITEMS, body=True).items, known[wanted]


def _feed(
    settings: Settings, found: list[Story], about: Topic | None, labels: dict[str, str]
) -> dict[str, Any]:
    site = settings.public_url
    query = f"?topic={about.path}" if about else ""
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": f"{settings.site_name}: {about.label}" if about else settings.site_name,
        "home_page_url": f"{site}/topics/{about.path}" if about else f"{site}/",
        "feed_url": f"{site}/feed.json{query}",
        "icon": f"{site}/icon-512.png",
        "items": [_item(site, story, labels) for story in found],
    }


def _item(site: str, story: Story, labels: dict[str, str]) -> dict[str, Any]:
    url = f"{site}/stories/{story.slug}"
    item: dict[str, Any] = {
        "id": url,
        "url": url,
        "title": story.text.headline,
        "content_html": story.text.body,
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


async def _answer(request: Request, make: Callable[[Session], Text]) -> Response:
    """Answer with a feed: the same for everyone, cookie or not, from memory in a rush."""
    address = f"{request.url.path}?{request.url.query}"
    hot: HotPages = request.app.state.hot_pages
    text = hot.find(address)
    if text is None:
        text = await run_admitted(request, _made, request, make)
        hot.keep(address, text)
    return text.answer(request, vary="Accept-Encoding")


def _made(request: Request, make: Callable[[Session], Text]) -> Text:
    with transaction(request.app.state.engine) as session:
        return make(session)
