"""The pages that everyone may see: the front, a topic, a story."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup
from sqlmodel import Session

from service import provider_door
from service.domain import topic as topic_paths
from service.domain.errors import NotFound, Refusal, Unavailable, no_such
from service.domain.story import Story, StoryState
from service.http.admission import run_admitted
from service.http.auth import STAFF_COOKIE, staff_from_cookie
from service.settings import Settings
from service.store.session import transaction
from service.store.stories import stories, topics
from service.web import lookups
from service.web.formatting import cut, iso, plain
from service.web.page_cache import HotPages, Text
from service.web.rendering import query_string, render, renderer

router = APIRouter()
PER_PAGE = 24
TOPICS_PER_PAGE = 200
Before = Annotated[str | None, Query(max_length=200)]
Make = Callable[[Session], dict[str, Any]]
_GET = ["GET", "HEAD"]


@router.api_route("/", methods=_GET)
async def front(request: Request, before: Before = None) -> Response:
    """Show the newest stories and the topics."""

    def make(session: Session) -> dict[str, Any]:
        found = stories.newest(session, None, before, PER_PAGE)
        return {
            "stories": found.items,
            "labels": lookups.labels(session, found.items),
            "next": query_string(before=found.next),
            "older": before is not None,
        }

    return await _public(request, "front.html", make)


@router.api_route("/topics", methods=_GET)
async def all_topics(request: Request, before: Before = None) -> Response:
    """Show every topic that can be followed, with its followers."""

    def make(session: Session) -> dict[str, Any]:
        found = topics.page(session, before, TOPICS_PER_PAGE)
        return {"topics": found.items, "next": query_string(before=found.next)}

    return await _public(request, "topics.html", make)


@router.api_route("/topics/{path:path}", methods=_GET)
async def topic(request: Request, path: str, before: Before = None) -> Response:
    """Show a topic's newest stories, its neighbours, and how to follow it."""

    def make(session: Session) -> dict[str, Any]:
        wanted = topic_paths.parse_path(path)
        known = topics.by_paths(session, topic_paths.lineage(wanted))
        if wanted not in known:
            raise no_such("topic")
        found = stories.newest(session, wanted, before, PER_PAGE)
        return {
            "topic": known[wanted],
            "above": [
                known[one] for one in reversed(topic_paths.lineage(wanted)[1:]) if one in known
            ],
            "below": topics.list_children(session, wanted, 50),
            "stories": found.items,
            "labels": lookups.labels(session, found.items),
            "next": query_string(before=found.next),
        }

    return await _public(request, "topic.html", make)


@router.api_route("/stories/{slug}", methods=_GET)
async def story(request: Request, slug: str) -> Response:
    """Show a story: the page that alerts lead to."""

    def make(session: Session) -> dict[str, Any]:
        found = stories.by_slug(session, slug)
        staff = getattr(request.state, "staff", None)
        if found is None:
            raise NotFound("There is no story at this address.")
        if not staff:
            _refuse_hidden(found, datetime.now(UTC))
        return _story_context(session, request, found)

    return await _public(request, "story.html", make)


def _refuse_hidden(found: Story, now: datetime) -> None:
    if found.state is StoryState.RETRACTED:
        raise NotFound("This story was taken back by its editors.")
    embargo = found.text.embargo_until
    if not found.state.public or (embargo is not None and now < embargo):
        raise NotFound("There is no story at this address.")


def _story_context(session: Session, request: Request, found: Story) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    labels = lookups.labels(session, [found])
    following = lookups.next_story(session, found)
    url = f"{settings.public_url}/stories/{found.slug}"
    description = found.text.summary or cut(plain(found.text.body), 200)
    own = topic_paths.story_topic(found.id)
    return {
        "story": found,
        "body": Markup(found.text.body),  # noqa: S704 - cleaned by nh3 when the story entered
        "url": url,
        "description": description,
        "published": found.published_at or found.created_at,
        "labels": labels,
        "alert_topics": [*((p, labels.get(p, p)) for p in found.text.topics), (own, "This story")],
        "linked": _linked(settings, found, url, description, labels),
        "next_url": f"/stories/{following.slug}" if following else "/",
        "next_headline": following.text.headline if following else "All stories",
        "next_language": following.text.language if following else "en",
    }


def _linked(
    settings: Settings, found: Story, url: str, description: str, labels: dict[str, str]
) -> dict[str, Any]:
    """Return the story as schema.org's NewsArticle."""
    text = found.text
    site = {"@type": "Organization", "name": settings.site_name, "url": settings.public_url}
    author = {"@type": "Person", "name": text.author} if text.author else site
    icon = f"{settings.public_url}/icon-512.png"
    return {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": text.headline,
        "description": description,
        "url": url,
        "mainEntityOfPage": {"@type": "WebPage", "@id": url},
        "datePublished": iso(found.published_at or found.created_at),
        "dateModified": iso(found.updated_at),
        "inLanguage": text.language,
        "articleSection": [labels.get(path, path) for path in text.topics],
        "keywords": [labels.get(path, path) for path in text.topics],
        "image": [text.image_url or icon],
        "author": author,
        "publisher": site | {"logo": {"@type": "ImageObject", "url": icon}},
        "isAccessibleForFree": True,
    }


async def _public(request: Request, template: str, make: Make) -> Response:
    """Answer anybody with the same page, from memory in a rush; staff get a page of their own."""
    if STAFF_COOKIE in request.cookies:
        return await run_admitted(request, _for_staff, request, template, make)
    address = f"{request.url.path}?{request.url.query}"
    hot: HotPages = request.app.state.hot_pages
    text = hot.find(address)
    if text is None:
        try:
            text = await run_admitted(request, _for_everyone, request, template, make)
        except Unavailable:  # says nothing of the page
            raise
        except Refusal:
            hot.drop(address)
            raise
        hot.keep(address, text)
    return text.answer(request)


def _for_everyone(request: Request, template: str, make: Make) -> Text:
    with transaction(request.app.state.engine) as session:
        context = _around(session) | make(session)
    return Text.of(renderer(request).page(request, template, staff=None, said="", **context))


def _for_staff(request: Request, template: str, make: Make) -> Response:
    with transaction(request.app.state.engine) as session:
        token = request.cookies[STAFF_COOKIE]
        request.state.staff = staff_from_cookie(session, token, datetime.now(UTC))
        context = _around(session) | make(session)
    answer = render(request, template, **context)
    answer.headers["Vary"] = "Cookie"
    return answer


def _around(session: Session) -> dict[str, Any]:
    return {
        "sections": lookups.sections(session),
        "vapid_key": provider_door.vapid_public_key() or "",
    }
