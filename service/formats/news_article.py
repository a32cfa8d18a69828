"""schema.org's `NewsArticle` and its kin, out of the JSON-LD of a page."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from service.domain.errors import TooLarge
from service.formats.incoming import MalformedDocument
from service.formats.json_document import parse_json
from service.formats.markup import pixels
from service.formats.text import clean_text, plain_line

MAX_NODES = 2000
_NEWS = frozenset(
    {"NewsArticle", "AnalysisNewsArticle", "AskPublicNewsArticle", "BackgroundNewsArticle"}
    | {"OpinionNewsArticle", "ReportageNewsArticle", "ReviewNewsArticle", "LiveBlogPosting"}
)
_HOLDERS = ("@graph", "mainEntity", "itemListElement")
_ARTICLES = frozenset({"Article", "BlogPosting", "Report", "SatiricalArticle", "TechArticle"})


@dataclass(frozen=True, slots=True)
class ArticleImage:
    """A picture of the article; its address may be relative."""

    url: str
    caption: str = ""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsArticle:
    """What the JSON-LD says, times as they are written; empty where it says nothing."""

    headline: str = ""
    description: str = ""
    body: str = ""
    author: str = ""
    language: str = ""
    published_at: str = ""
    updated_at: str = ""
    expires_at: str = ""
    sections: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    images: tuple[ArticleImage, ...] = ()


def find_news_article(scripts: Iterable[str]) -> NewsArticle:
    """Return the first news article of the scripts, else the first article, else an empty one.

    A script that is no JSON is skipped, as search engines do.
    """
    nodes = [node for script in scripts for node in _nodes(script)]
    for types in (_NEWS, _ARTICLES):
        for node in nodes:
            if types & set(_types(node)):
                return _article(node)
    return NewsArticle()


def _nodes(script: str) -> Iterator[dict[str, Any]]:
    text = script.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";")
    try:
        value = parse_json(text.encode("utf-8", "replace"))
    except (MalformedDocument, TooLarge):
        return
    queue = deque([value])
    for _ in range(MAX_NODES):
        if not queue:
            return
        node = queue.popleft()
        if isinstance(node, list):
            queue.extend(node[:MAX_NODES])
        elif isinstance(node, dict):
            yield node
            queue.extend(
                node[key] for key in ("@graph", "mainEntity", "itemListElement") if key in node
            )


def _article(node: dict[str, Any]) -> NewsArticle:
    keywords = node.get("keywords")
    words = keywords.split(",") if isinstance(keywords, str) else _names(keywords)
    return NewsArticle(
        headline=_text(node, "headline") or _text(node, "name"),
        description=_text(node, "description") or _text(node, "abstract"),
        body=_text(node, "articleBody"),
        author=", ".join(dict.fromkeys(_names(node.get("author") or node.get("creator")))),
        language=next(iter(_names(node.get("inLanguage"))), ""),
        published_at=_text(node, "datePublished"),
        updated_at=_text(node, "dateModified"),
        expires_at=_text(node, "expires"),
        sections=tuple(_names(node.get("articleSection"))),
        keywords=tuple(word.strip() for word in words if word.strip()),
        images=tuple(_images(node.get("image"))) or tuple(_images(node.get("thumbnailUrl"))),
    )


def _types(node: dict[str, Any]) -> list[str]:
    types = node.get("@type")
    names = types if isinstance(types, list) else [types]
    return [kind.rpartition("/")[2] for kind in names if isinstance(kind, str)]


def _text(node: dict[str, Any], name: str) -> str:
    value = node.get(name)
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("@value")
    return clean_text(value).strip() if isinstance(value, str) else ""


def _names(value: Any) -> list[str]:
    """Return the names of persons, organisations, terms or languages: texts, objects or lists."""
    entries = value if isinstance(value, list) else [value]
    names = []
    for entry in entries[:50]:
        name = entry.get("name") or entry.get("alternateName") if isinstance(entry, dict) else entry
        if isinstance(name, list) and name:
            name = name[0]
        if isinstance(name, str) and "://" not in name and plain_line(name):
            names.append(plain_line(name))
    return names


def _images(value: Any) -> Iterator[ArticleImage]:
    for entry in (value if isinstance(value, list) else [value])[:20]:
        if isinstance(entry, str) and entry:
            yield ArticleImage(entry)
        elif isinstance(entry, dict):
            url = entry.get("url") or entry.get("contentUrl")
            address = url[0] if isinstance(url, list) and url else url
            if isinstance(address, str) and address:
                yield ArticleImage(
                    address,
                    plain_line(_text(entry, "caption") or _text(entry, "description")),
                    _pixels(entry.get("width")),
                    _pixels(entry.get("height")),
                )


def _pixels(value: Any) -> int | None:
    return pixels(value.get("value") if isinstance(value, dict) else value)
