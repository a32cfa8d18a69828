"""The pages that everyone may see: the front page, topics, stories."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from sqlmodel import Session

from service import provider_door
from service.actions.topics.topic_names import labels_in, resolve_path
from service.domain import topic as topic_paths
from service.domain.errors import NotFound, no_such
from service.domain.language import MAX_TAG, parse_language
from service.domain.media.pictures import whole_address
from service.domain.story import Story, StoryState
from service.http.admission import run_admitted
from service.http.api_document import Router
from service.http.auth import STAFF_COOKIE, staff_from_cookie
from service.settings import Settings
from service.store.session import transaction
from service.store.stories import stories, topics
from service.web import lookups
from service.web.formatting import cut, iso, plain
from service.web.media.story_pictures import own_pictures
from service.web.page_cache import VARY, PublicText, current_text, page_address
from service.web.page_language import choose_language, translate
from service.web.readers.corrections import describe_corrections
from service.web.rendering import query_string, render, renderer

router = Router(in_document=False)
PER_PAGE = 24
TOPICS_PER_PAGE = 200
TOPICS_FOUND = 8
MAX_WORDS = 12
RELATED = 4
Language = Annotated[str, Query(max_length=MAX_TAG)]
Before = Annotated[str | None, Query(max_length=200)]
ContextQuery = Callable[[Session], dict[str, Any]]
_GET = ["GET", "HEAD"]


@router.api_route("/", methods=_GET)
async def front(request: Request, before: Before = None) -> Response:
    """Show the newest stories and the topics."""

    def query(session: Session) -> dict[str, Any]:
        page = stories.newest(session, None, before, PER_PAGE)
        return {
            "stories": page.items,
            "pictures": own_pictures(session, page.items),
            "labels": lookups.story_labels(session, page.items),
            "next": query_string(before=page.next),
            "older": before is not None,
        }

    return await _respond(request, "front.html", query, before=before)


@router.api_route("/topics", methods=_GET)
async def all_topics(request: Request, before: Before = None, lang: Language = "") -> Response:
    """Show every topic, with the number of its followers."""

    def query(session: Session) -> dict[str, Any]:
        page = topics.page(session, before, TOPICS_PER_PAGE)
        return {
            "topics": labels_in(session, page.items, language),
            "languages": lookups.label_languages(session, page.items),
            "lang": language,
            "next": query_string(lang=language, before=page.next) if page.next else "",
        }

    language = parse_language(lang, "lang") if lang else ""
    return await _respond(request, "topics.html", query, before=before, lang=language or None)


@router.api_route("/search", methods=_GET)
async def search(
    request: Request, q: Annotated[str, Query(max_length=200)] = "", before: Before = None
) -> Response:
    """Show the topics and stories that hold some words, however they were typed."""

    def query(session: Session) -> dict[str, Any]:
        page = stories.search(session, q, None, before, PER_PAGE)
        exact = page.items
        items = exact or (stories.similar(session, q, None, PER_PAGE) if before is None else [])
        return {
            "q": q,
            "topics": topics.search(session, q.split()[:MAX_WORDS], TOPICS_FOUND)
            if before is None
            else [],
            "stories": items,
            "pictures": own_pictures(session, items),
            "is_exact": bool(exact),
            "labels": lookups.story_labels(session, items),
            "next": query_string(q=q, before=page.next) if page.next else "",
        }

    return await _respond(request, "search.html", query, q=q, before=before)


@router.api_route("/topics/{path:path}", methods=_GET)
async def topic(
    request: Request, path: str, before: Before = None, lang: Language = ""
) -> Response:
    """Show a topic: its newest stories, the topics above and below, and how to follow it.

    A code of the Media Topics leads to the topic that it stands for.
    """
    if ":" in path:
        return await run_admitted(request, _redirect_code, request, path)

    def query(session: Session) -> dict[str, Any]:
        topic_path = topic_paths.parse_path(path)
        lineage = topic_paths.lineage(topic_path)
        topics_by_path = topics.by_paths(session, lineage)
        if topic_path not in topics_by_path:
            raise no_such("topic")
        page = stories.newest(session, topic_path, before, PER_PAGE)
        above = [topics_by_path[p] for p in reversed(lineage) if p in topics_by_path]
        *above, subject = labels_in(session, above, language)
        below = topics.list_children(session, topic_path, 50)
        return {
            "topic": subject,
            "above": above,
            "below": labels_in(session, below, language),
            "languages": lookups.label_languages(session, [subject]),
            "lang": language,
            "stories": page.items,
            "pictures": own_pictures(session, page.items),
            "labels": lookups.story_labels(session, page.items),
            "next": query_string(lang=language, before=page.next) if page.next else "",
        }

    language = parse_language(lang, "lang") if lang else ""
    return await _respond(request, "topic.html", query, before=before, lang=language or None)


def _redirect_code(request: Request, code: str) -> Response:
    with transaction(request.app.state.engine) as session:
        path = resolve_path(session, code)
    if ":" in path:
        raise no_such("topic")
    return RedirectResponse(f"/topics/{path}", status_code=308)


@router.api_route("/stories/{slug}", methods=_GET)
async def story(request: Request, slug: str) -> Response:
    """Show a story. Alerts lead to this page."""

    def query(session: Session) -> dict[str, Any]:
        article = stories.by_slug(session, slug)
        staff = getattr(request.state, "staff", None)
        if article is None:
            raise NotFound("There is no story at this address.")
        if not staff:
            _refuse_hidden(article, datetime.now(UTC))
        return _story_context(session, request, article)

    return await _respond(request, "story.html", query)


def _refuse_hidden(article: Story, now: datetime) -> None:
    if article.state is StoryState.RETRACTED:
        raise NotFound("This story was taken back by its editors.")
    embargo = article.text.embargo_until
    if not article.state.public or (embargo is not None and now < embargo):
        raise NotFound("There is no story at this address.")


def _story_context(session: Session, request: Request, article: Story) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    labels, label_language = lookups.own_labels(session, article)
    next_story = lookups.next_story(session, article)
    url = f"{settings.public_url}/stories/{article.slug}"
    description = article.text.summary or cut(plain(article.text.body), 200)
    story_topic = topic_paths.story_topic(article.id)
    return {
        "story": article,
        "pictures": own_pictures(session, [article]),
        "picture_url": whole_address(article.text.image_url, settings.public_url),
        "body": Markup(article.text.body),  # noqa: S704 - sanitized by nh3 when the story entered
        "url": url,
        "description": description,
        "published": article.published_at or article.created_at,
        "labels": labels,
        "label_language": label_language,
        "alert_topics": [
            *((p, labels.get(p, p)) for p in article.text.topics),
            (story_topic, translate(choose_language(request), "This story")),
        ],
        "json_ld_article": _json_ld(settings, article, url, description, labels),
        "corrections": describe_corrections(session, article),
        "related": lookups.related_stories(session, article, next_story, RELATED),
        "next_url": f"/stories/{next_story.slug}" if next_story else "/",
        "next_headline": next_story.text.headline
        if next_story
        else translate(choose_language(request), "All stories"),
        "next_language": next_story.text.language if next_story else choose_language(request),
    }


def _json_ld(
    settings: Settings, article: Story, url: str, description: str, labels: dict[str, str]
) -> dict[str, Any]:
    """Return the story as a NewsArticle of schema.org."""
    text = article.text
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
        "datePublished": iso(article.published_at or article.created_at),
        "dateModified": iso(article.updated_at),
        "inLanguage": text.language,
        "articleSection": [labels.get(path, path) for path in text.topics],
        "keywords": [labels.get(path, path) for path in text.topics],
        "image": [whole_address(text.image_url, settings.public_url) or icon],
        "author": author,
        "publisher": site | {"logo": {"@type": "ImageObject", "url": icon}},
        "isAccessibleForFree": True,
    }


async def _respond(
    request: Request, template: str, query: ContextQuery, **parameters: str | None
) -> Response:
    """Return the page that is the same for everyone, from memory during a rush.

    Staff get a page of their own.
    """
    if STAFF_COOKIE in request.cookies:
        return await run_admitted(request, _render_for_staff, request, template, query)
    language = choose_language(request)
    address = page_address(request.url.path, **parameters, page_language=language)
    text = await current_text(request, address, _render_for_everyone, request, template, query)
    return text.respond(request, vary=VARY)


def _render_for_everyone(request: Request, template: str, query: ContextQuery) -> PublicText:
    with transaction(request.app.state.engine) as session:
        context = _site_context(request, session) | query(session)
    return PublicText.of(renderer(request).page(request, template, staff=None, flash="", **context))


def _render_for_staff(request: Request, template: str, query: ContextQuery) -> Response:
    with transaction(request.app.state.engine) as session:
        token = request.cookies[STAFF_COOKIE]
        request.state.staff = staff_from_cookie(session, token, datetime.now(UTC))
        context = _site_context(request, session) | query(session)
    response = render(request, template, **context)
    response.headers["Vary"] = "Cookie, Accept-Language"
    return response


def _site_context(request: Request, session: Session) -> dict[str, Any]:
    return {
        "page_language": choose_language(request),
        "sections": lookups.list_sections(session),
        "site_languages": lookups.site_languages(session),
        "vapid_key": provider_door.vapid_public_key() or "",
    }
