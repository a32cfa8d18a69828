"""WordPress posts as its hooks and plugins send them, to stories.

Two shapes: the REST API's (`title.rendered`, `date_gmt`, `status`) and `WP_Post`'s (`post_title`,
`post_date_gmt`, `post_status`), alone or under `post` or `data`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

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
from service.formats.links import absolute_link, host_of, picture_address
from service.formats.markup import body_html, pixels
from service.formats.moments import likely_moment
from service.formats.subjects import make_subject
from service.formats.text import plain_line

_WRAPPERS = ("post", "data", "payload", "body")
_NO_STORIES = ("revision", "attachment", "nav_menu_item", "customize_changeset", "wp_template")
_STATUSES = {
    "publish": PublicationStatus.USABLE,
    "future": PublicationStatus.USABLE,
    "trash": PublicationStatus.CANCELED,
    "deleted": PublicationStatus.CANCELED,
}
_UNSET = "0000-00-00"


def parse_wordpress(document: bytes, *, aliases: Mapping[str, str] | None = None) -> IncomingStory:
    """Read one delivery; raises `MalformedDocument` naming the JSON path.

    A trashed post is canceled; a draft, a pending or a private one is withheld. A scheduled one is
    under embargo until its time. The text behind a password stays there.
    """
    value = parse_json(document)
    report = Report()
    post = _post(value, report)
    kind = post.text("type", "post_type")
    if kind in _NO_STORIES:
        raise MalformedDocument([Flaw(f"{post.place}.type", f"{kind!r} is no story")])
    return single((compose(_facts(post), report, aliases),))


def _post(value: Any, report: Report) -> JsonObject:
    place = "$"
    for _ in range(len(_WRAPPERS)):
        if not isinstance(value, dict):
            break
        if "status" in value or "post_status" in value:
            return JsonObject(value, place, report)
        name = next((name for name in _WRAPPERS if isinstance(value.get(name), dict)), None)
        if name is None:
            break
        value, place = value[name], f"{place}.{name}"
    raise MalformedDocument([Flaw(place, "is no post of WordPress: it has no status")])


def _facts(post: JsonObject) -> StoryFacts:
    link = absolute_link(post.text("link", "permalink", "post_permalink", "url"), None)
    status = post.text("status", "post_status").lower()
    published = _moment(post, "date_gmt", "post_date_gmt")
    if status == "future" and published is None:
        post.report.flaw(f"{post.place}.date_gmt", "is missing: the post is scheduled")
    return StoryFacts(
        place=post.place,
        uri=_uri(post, link),
        uri_place=f"{post.place}.id",
        headline_place=f"{post.place}.title.rendered",
        status=_STATUSES.get(status, PublicationStatus.WITHHELD),
        headline=_rendered(post, "title", "post_title"),
        summary=_rendered(post, "excerpt", "post_excerpt"),
        body=_body(post, link),
        language=post.language("lang", "language", "locale"),
        author=_author(post),
        subjects=list(_subjects(post)),
        pictures=list(_pictures(post, link)),
        embargo_until=published if status == "future" else None,
        published_at=published,
        updated_at=_moment(post, "modified_gmt", "post_modified_gmt") or published,
        link=link,
    )


def _uri(post: JsonObject, link: str | None) -> str:
    """Return a name that outlives a new slug: site and id, else WordPress's `guid`."""
    guid = _rendered(post, "guid", "guid")
    identity = post.text("id", "ID", "post_id")
    host = host_of(guid) or host_of(link or "")
    return f"wordpress:{host}:{identity}" if identity and host else guid or ""


def _rendered(post: JsonObject, *names: str) -> str:
    """Return `rendered` of an object, or the string itself."""
    place, value = post.member(*names)
    if isinstance(value, dict):
        return JsonObject(value, place, post.report).text("rendered", "raw")
    return post.text(*names)


def _body(post: JsonObject, link: str | None) -> str:
    place, value = post.member("content", "post_content")
    has_password = isinstance(value, dict) and value.get("protected") is True
    has_password = has_password or bool(post.members.get("post_password"))
    markup = "" if has_password else _rendered(post, "content", "post_content")
    return body_html(markup, link, post.report, place)


def _moment(post: JsonObject, *names: str) -> datetime | None:
    """Return one of WordPress's times in GMT, which it writes without an offset."""
    place, _ = post.member(*names)
    text = post.text(*names)
    if not text or text.startswith(_UNSET):
        return None
    moment = likely_moment(text)
    if moment is None:
        post.report.flaw(place, f"{text[:60]!r} is not a date and time")
    return moment


def _embedded(post: JsonObject) -> Mapping[str, Any]:
    resources = post.members.get("_embedded")
    return resources if isinstance(resources, dict) else {}


def _author(post: JsonObject) -> str:
    authors = _embedded(post).get("author")
    names = [
        author["name"]
        for author in (authors if isinstance(authors, list) else ())
        if isinstance(author, dict) and isinstance(author.get("name"), str)
    ]
    if names:
        return ", ".join(names)
    name = post.members.get("author_name") or post.members.get("post_author_name")
    return name if isinstance(name, str) else ""


def _subjects(post: JsonObject) -> Iterator[Subject | None]:
    groups = _embedded(post).get("wp:term")
    taxonomies = post.members.get("taxonomies")
    lists = [*groups] if isinstance(groups, list) else []
    lists += [[*terms.values()] for terms in _values(taxonomies) if isinstance(terms, dict)]
    for terms in lists:
        for term in terms if isinstance(terms, list) else ():
            if isinstance(term, dict):
                slug, name = str(term.get("slug") or ""), str(term.get("name") or "")
                yield make_subject(slug, name, str(term.get("taxonomy") or "") if slug else "")


def _values(members: Any) -> list[Any]:
    return [*members.values()] if isinstance(members, dict) else []


def _pictures(post: JsonObject, link: str | None) -> Iterator[Picture]:
    media = _embedded(post).get("wp:featuredmedia")
    for entry in media if isinstance(media, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("source_url"), str):
            details = entry.get("media_details")
            sizes = details if isinstance(details, dict) else {}
            url = picture_address(entry["source_url"], link)
            if url:
                alt = plain_line(str(entry.get("alt_text") or ""))
                width, height = pixels(sizes.get("width")), pixels(sizes.get("height"))
                yield Picture(url=url, alt=alt, width=width, height=height)
    place, address = post.member(
        "jetpack_featured_media_url", "featured_image_src", "post_thumbnail", "featured_image_url"
    )
    if isinstance(address, str) and address:
        url = picture_address(address, link)
        if url:
            yield Picture(url=url)
        else:
            post.report.remark(place, f"no address over https: {address[:200]}")
