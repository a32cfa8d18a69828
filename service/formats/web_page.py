"""A pasted link: the HTML of a news page to a story.

Facts come from schema.org's `NewsArticle` in JSON-LD, then Open Graph, then the page itself; the
text from `articleBody` or the page's `<article>`.
"""

import html
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from lxml import etree

from service.domain.errors import TooLarge
from service.formats.composing import StoryFacts, compose
from service.formats.encodings import decode_document
from service.formats.incoming import (
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    Report,
    Subject,
    single,
)
from service.formats.json_document import known_language
from service.formats.links import absolute_link, host_of, identity_of, picture_address
from service.formats.markup import body_html, is_readable, pixels, text_html
from service.formats.moments import likely_moment
from service.formats.news_article import NewsArticle, find_news_article
from service.formats.subjects import make_subject
from service.formats.text import clean_text, plain_line
from service.formats.xml_document import XmlElement, parse_tree, text_of

MAX_PAGE_BYTES = 5 * 1024 * 1024
MAX_PAGE_TAGS = 150_000
_CLUTTER = frozenset(
    {"nav", "aside", "form", "header", "footer", "script", "style", "button", "dialog", "svg"}
    | {"noscript", "template", "iframe", "video", "audio", "select", "input"}
)
_FEED_TYPES = ("application/rss+xml", "application/atom+xml", "application/feed+json")
_FEWEST_WORDS = 40


def read_page(
    document: bytes,
    *,
    address: str,
    charset: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> IncomingStory:
    """Read the page that came from `address`; raises `MalformedDocument` where no story is on it.

    Its name is its canonical address if that is of the same host, else `address`.
    """
    root = _parse(document, charset)
    page = _Page(root, address)
    article = find_news_article(page.json_ld())
    report = Report()
    link = page.canonical()
    facts = StoryFacts(
        place=address,
        uri=identity_of(link),
        uri_place="address",
        headline_place="headline, og:title or title",
        headline=article.headline or page.meta("og:title", "twitter:title") or page.title(),
        summary=article.description or page.meta("og:description", "description"),
        body=_body(page, article, link, report),
        language=known_language(_language(page, article), "language", Report()),
        author=article.author or _author(page),
        subjects=list(_subjects(page, article)),
        pictures=list(_pictures(page, article, link)),
        published_at=_first(article.published_at, page.meta("article:published_time")),
        updated_at=_first(
            article.updated_at, page.meta("article:modified_time", "og:updated_time")
        ),
        expires_at=_first(article.expires_at, page.meta("article:expiration_time")),
        link=link,
    )
    return single((compose(facts, report, aliases),))


def discover_feeds(document: bytes, *, address: str, charset: str | None = None) -> list[str]:
    """Return the feeds that a page announces in its head (`rel="alternate"`), in its order."""
    page = _Page(_parse(document, charset), address)
    links = [
        absolute_link(link.get("href", ""), page.base)
        for link in page.elements("link")
        if "alternate" in link.get("rel", "").lower().split()
        and link.get("type", "").lower().partition(";")[0] in _FEED_TYPES
    ]
    return list(dict.fromkeys(link for link in links if link))


def _parse(document: bytes, charset: str | None) -> XmlElement:
    if len(document) > MAX_PAGE_BYTES:
        raise TooLarge(f"At most {MAX_PAGE_BYTES:,} bytes; these are {len(document):,}.")
    if document.count(b"<") > 2 * MAX_PAGE_TAGS:
        raise TooLarge(f"At most {MAX_PAGE_TAGS:,} tags.")
    text = clean_text(decode_document(document, charset))
    make_parser = partial(
        etree.HTMLParser,
        encoding="utf-8",
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = parse_tree(text, make_parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        raise MalformedDocument([Flaw("/", "is no web page")])
    return root


class _Page:
    """What a page says in its head and where its text stands."""

    def __init__(self, root: XmlElement, address: str) -> None:
        self._root, self.address = root, address
        self._metas: dict[str, list[str]] = {}
        for meta in self.elements("meta"):
            name = (meta.get("property", "") or meta.get("name", "")).lower().strip()
            if name and meta.get("content", "").strip():
                self._metas.setdefault(name, []).append(clean_text(meta.get("content", "")))
        bases = [element.get("href", "") for element in self.elements("base")]
        self.base = (absolute_link(bases[0], address) if bases else None) or address

    def elements(self, *names: str) -> Iterator[XmlElement]:
        """Yield the elements of some names."""
        return (element for element in self._root.iter() if element.tag in names)

    def meta(self, *names: str) -> str:
        """Return the first of the metas that says something."""
        return next((values[0] for name in names if (values := self._metas.get(name))), "")

    def metas(self, name: str) -> list[str]:
        """Return all metas of a name."""
        return self._metas.get(name, [])

    def title(self) -> str:
        """Return the title without the site's name at its end."""
        title = plain_line(text_of(next(self.elements("title"), None)))
        site = self.meta("og:site_name")
        for mark in (" | ", " - ", " \u2013 ", " \u2014 ", " :: ", " \u00b7 "):
            head, sign, tail = title.rpartition(mark)
            if sign and (tail == site or (not site and mark == " | ")):
                return head
        return title

    def language(self) -> str:
        """Return the page's own language."""
        return self._root.get("lang", "") or self.meta("og:locale", "language")

    def canonical(self) -> str:
        """Return the page's canonical address of the same host, else where it came from."""
        links = [
            link.get("href", "")
            for link in self.elements("link")
            if "canonical" in link.get("rel", "").lower().split()
        ]
        for address in [*links, self.meta("og:url")]:
            link = absolute_link(address, self.base)
            if link and host_of(link) == host_of(self.address):
                return link
        return self.address

    def json_ld(self) -> list[str]:
        """Return the texts of the page's JSON-LD."""
        kind = "application/ld+json"
        scripts = self.elements("script")
        return [text_of(s) for s in scripts if s.get("type", "").lower().startswith(kind)]

    def article_html(self) -> str:
        """Return the markup of the element that holds the article, without what surrounds it."""
        bodies = [e for e in self._root.iter() if e.get("itemprop", "") == "articleBody"]
        holders = bodies or [*self.elements("article")] or [*self.elements("main")]
        markups = ["".join(_markup(holder)) for holder in _outermost(holders[:20])]
        return max(markups, key=lambda markup: len(plain_line(markup)), default="")


def _outermost(elements: list[XmlElement]) -> Iterator[XmlElement]:
    """Yield the elements that stand in none of the others, which hold their text already."""
    for element in elements:
        if not any(above is other for above in element.iterancestors() for other in elements):
            yield element


def _markup(element: XmlElement) -> Iterator[str]:
    yield html.escape(element.text or "", quote=False)
    for child in element:
        if isinstance(child.tag, str) and not _is_clutter(child):
            names = ("href", "src", "data-src", "data-lazy-src", "srcset", "alt", "width", "height")
            pairs = ((name, child.get(name, "")) for name in names)
            attributes = "".join(
                f' {name}="{html.escape(value)}"' for name, value in pairs if value
            )
            yield f"<{child.tag}{attributes}>"
            if child.tag not in ("br", "hr", "img", "wbr", "source"):
                yield from _markup(child)
                yield f"</{child.tag}>"
        yield html.escape(child.tail or "", quote=False)


def _is_clutter(element: XmlElement) -> bool:
    is_hidden = element.get("aria-hidden", "") == "true" or element.get("hidden", "no") != "no"
    return (
        element.tag in _CLUTTER or is_hidden or element.get("role", "") in ("navigation", "dialog")
    )


def _body(page: _Page, article: NewsArticle, link: str, report: Report) -> str:
    markup = page.article_html()
    body = body_html(markup, link, report, "article") if markup else ""
    if article.body and len(plain_line(body).split()) < _FEWEST_WORDS:
        return body_html(article.body, link, report, "articleBody")
    if is_readable(body):
        return body
    return text_html(article.description or page.meta("og:description", "description"))


def _language(page: _Page, article: NewsArticle) -> str:
    return article.language or page.language()


def _author(page: _Page) -> str:
    names = page.metas("article:author") or page.metas("author")
    return ", ".join(name for name in names if "://" not in name)


def _subjects(page: _Page, article: NewsArticle) -> Iterator[Subject | None]:
    names = [*article.sections, *page.metas("article:section"), *article.keywords]
    for name in [*names, *page.metas("article:tag")]:
        yield make_subject("", name)


def _pictures(page: _Page, article: NewsArticle, link: str) -> Iterator[Picture]:
    address = page.meta("og:image:secure_url", "og:image:url", "og:image", "twitter:image")
    url = picture_address(address, link) if address else None
    alt = plain_line(page.meta("og:image:alt", "twitter:image:alt"))
    width, height = pixels(page.meta("og:image:width")), pixels(page.meta("og:image:height"))
    if url:
        yield Picture(url=url, alt=alt, width=width, height=height)
    for image in article.images:
        image_url = picture_address(image.url, link)
        if image_url:
            yield Picture(
                url=image_url,
                alt=image.caption or alt,
                caption=image.caption,
                width=image.width,
                height=image.height,
            )


def _first(*texts: str) -> datetime | None:
    return next((moment for text in texts if text and (moment := likely_moment(text))), None)
