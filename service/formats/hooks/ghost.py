"""Ghost's webhooks for posts and pages, to stories.

The body is `{"post": {"current": {...}, "previous": {...}}}`. It does not name its event; status,
and an empty `current` for a deletion, say it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from service.formats.composing import StoryFacts, compose
from service.formats.incoming import (
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Report,
    Subject,
    single,
)
from service.formats.json_document import JsonObject, parse_json
from service.formats.links import absolute_link, picture_address
from service.formats.markup import body_html
from service.formats.subjects import make_subject
from service.formats.text import plain_line

_KINDS = ("post", "page")
_PUBLIC = ("published", "scheduled")


def parse_ghost(document: bytes, *, aliases: Mapping[str, str] | None = None) -> IncomingStory:
    """Read one delivery; raises `MalformedDocument` naming the JSON path.

    A draft, and a post that only went out by mail, is withheld, a deleted one canceled; a scheduled
    one is under embargo until its time. Of a post for members only the excerpt comes in.
    """
    value = parse_json(document)
    report = Report()
    root = JsonObject(value if isinstance(value, dict) else {}, "$", report)
    kind = next((name for name in _KINDS if name in root.members), None)
    if kind is None:
        raise MalformedDocument([Flaw("$", "is no delivery of Ghost: it has no post and no page")])
    post = root.child(kind)
    current = post.child("current") if post else None
    previous = post.child("previous") if post else None
    if report.flaws or current is None:
        raise MalformedDocument(report.flaws or [Flaw(f"$.{kind}.current", "is missing")])
    if not current.members.get("id") and previous is not None:
        return single((compose(_removal(previous, kind), report, aliases),))
    return single((compose(_facts(current, kind), report, aliases),))


def _facts(post: JsonObject, kind: str) -> StoryFacts:
    link = absolute_link(post.text("url"), None)
    status = post.text("status").lower()
    return StoryFacts(
        place=post.place,
        uri=_uri(post, kind),
        uri_place=f"{post.place}.uuid",
        headline_place=f"{post.place}.title",
        status=PublicationStatus.USABLE if status in _PUBLIC else PublicationStatus.WITHHELD,
        headline=post.text("title"),
        summary=post.text("custom_excerpt", "excerpt", "meta_description"),
        body=_body(post, link),
        language=post.language("locale"),
        author=_author(post),
        subjects=list(_subjects(post)),
        pictures=list(_pictures(post, link)),
        embargo_until=post.exact_moment("published_at") if status == "scheduled" else None,
        published_at=post.likely_moment("published_at"),
        updated_at=post.likely_moment("updated_at", "published_at"),
        link=absolute_link(post.text("canonical_url"), link) or link,
    )


def _body(post: JsonObject, link: str | None) -> str:
    visibility = post.text("visibility")
    if visibility not in ("", "public"):
        post.report.remark(
            f"{post.place}.visibility", f"is {visibility!r}: only the excerpt is taken"
        )
        return ""
    return body_html(post.text("html"), link, post.report, f"{post.place}.html")


def _removal(post: JsonObject, kind: str) -> StoryFacts:
    return StoryFacts(
        place=post.place,
        uri=_uri(post, kind),
        uri_place=f"{post.place}.uuid",
        headline_place=f"{post.place}.title",
        status=PublicationStatus.CANCELED,
        updated_at=_latest(post),
    )


def _latest(post: JsonObject) -> datetime | None:
    return post.likely_moment("updated_at", "published_at")


def _uri(post: JsonObject, kind: str) -> str:
    """Return a name that outlives a new slug or domain: Ghost's id of the post.

    A deletion may bring the id alone, so the id it is, and never the uuid.
    """
    identity = post.text("id")
    return f"ghost:{kind}:{identity}" if identity else ""


def _author(post: JsonObject) -> str:
    authors = [author.text("name") for author in post.objects("authors")]
    primary = post.child("primary_author")
    return ", ".join(filter(None, authors or [primary.text("name") if primary else ""]))


def _subjects(post: JsonObject) -> Iterator[Subject | None]:
    for tag in post.objects("tags"):
        if tag.text("visibility") != "internal" and not tag.text("name").startswith("#"):
            slug = tag.text("slug")
            yield make_subject(slug, tag.text("name"), "tag" if slug else "")


def _pictures(post: JsonObject, link: str | None) -> Iterator[Picture]:
    address = post.text("feature_image", "og_image")
    url = picture_address(address, link) if address else None
    if url:
        caption = plain_line(post.text("feature_image_caption"))
        yield Picture(url=url, alt=plain_line(post.text("feature_image_alt")), caption=caption)
    elif address:
        post.report.remark(f"{post.place}.feature_image", f"no address over https: {address[:200]}")
