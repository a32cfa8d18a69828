"""The last step of every format: facts become a story, or what is wrong with it."""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.formats.incoming import (
    MAX_FLAWS,
    MAX_URI,
    BrokenStory,
    Flaw,
    IncomingStory,
    Picture,
    PublicationStatus,
    Report,
    Subject,
)
from service.formats.links import picture_address
from service.formats.markup import first_image, is_readable, without_repeated_headline
from service.formats.subjects import built_in_aliases, distinct, topic_paths
from service.formats.text import clean_text, plain_line, says_something, shorten

MAX_HEADLINE = 500
MAX_SUMMARY = 5000
MAX_AUTHOR = 200
MAX_RIGHTS = 500
MAX_PICTURES = 20
_CUT_OFF = re.compile(r"\s*\[(?:\u2026|\.\.\.)\]$")
"""How WordPress ends an excerpt that it cut."""

_CANCELED = {"canceled", "cancelled", "killed", "deleted", "trash", "trashed", "removed"}
_WITHHELD = {"withheld", "unpublished"}
_USABLE = {"usable", "published", "publish", ""}


@dataclass(slots=True, kw_only=True)
class StoryFacts:
    """What a format read, before it is judged. Lines may hold tags and entities; `body` is safe."""

    place: str
    uri: str
    uri_place: str
    headline_place: str
    version: int | None = None
    status: PublicationStatus = PublicationStatus.USABLE
    headline: str = ""
    summary: str = ""
    body: str = ""
    language: str | None = None
    author: str = ""
    subjects: Iterable[Subject | None] = ()
    pictures: list[Picture] = field(default_factory=list)
    urgency: int | None = None
    embargo_until: datetime | None = None
    expires_at: datetime | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    is_correction: bool = False
    link: str | None = None
    rights: str = ""


def compose(
    facts: StoryFacts, report: Report, aliases: Mapping[str, str] | None = None
) -> IncomingStory | BrokenStory:
    """Return the story, or everything that is wrong with it.

    A kill needs nothing but the name of what it takes back. A story of a headline only, as a flash
    is, has it as its body too. Without `aliases` subjects reach the 17 roots of Media Topics.
    """
    uri = plain_uri(facts.uri)
    headline = _line(facts.headline, MAX_HEADLINE, facts.headline_place, report)
    if _flaws(facts, uri, headline, report):
        return BrokenStory(facts.place, uri[:MAX_URI], report.flaws)
    summary = _summary(facts, report)
    subjects = distinct(facts.subjects)
    pictures = _distinct_pictures(facts.pictures)
    body = without_repeated_headline(facts.body, headline)
    return IncomingStory(
        uri=uri,
        version=facts.version,
        status=facts.status,
        headline=headline,
        summary="" if summary == headline else summary,
        body=body if is_readable(body) else _line_as_body(summary or headline),
        language=facts.language,
        author=_line(facts.author, MAX_AUTHOR, f"{facts.place} (author)", report),
        subjects=subjects,
        topics=topic_paths(subjects, built_in_aliases() if aliases is None else aliases),
        image=pictures[0] if pictures else _image_in(body),
        pictures=pictures,
        urgency=facts.urgency,
        embargo_until=facts.embargo_until,
        expires_at=facts.expires_at,
        published_at=facts.published_at,
        updated_at=facts.updated_at,
        is_correction=facts.is_correction,
        link=facts.link,
        rights=shorten(plain_line(facts.rights), MAX_RIGHTS),
        remarks=(report.flaws + report.remarks)[:MAX_FLAWS],
    )


def _summary(facts: StoryFacts, report: Report) -> str:
    line = _line(facts.summary, MAX_SUMMARY, f"{facts.place} (summary)", report)
    return _CUT_OFF.sub("\u2026", line)


def publication_status(text: str, place: str, report: Report) -> PublicationStatus:
    """Return the status that a sender's word means; an unknown word is a flaw."""
    word = text.strip().lower()
    if word in _CANCELED:
        return PublicationStatus.CANCELED
    if word in _WITHHELD:
        return PublicationStatus.WITHHELD
    if word not in _USABLE:
        report.flaw(place, f"{text[:40]!r} is not usable, withheld or canceled")
    return PublicationStatus.USABLE


def plain_uri(uri: str) -> str:
    """Return a story's name as it is compared: NFC, no spaces around it or line breaks in it."""
    return "".join(clean_text(uri).split("\n")).strip()


def _flaws(facts: StoryFacts, uri: str, headline: str, report: Report) -> tuple[Flaw, ...]:
    """Return everything that makes a story unreadable, by its facts taken together too.

    A kill with a name arrives whatever else is wrong with it: an alert must stop.
    """
    if not uri:
        report.flaw(facts.uri_place, "is missing: a story needs a name of its own")
    elif len(uri) > MAX_URI:
        report.flaw(facts.uri_place, f"has {len(uri):,} characters; at most {MAX_URI:,} are taken")
    if facts.status is not PublicationStatus.USABLE:
        return tuple(flaw for flaw in report.flaws if flaw.place == facts.uri_place)
    if not says_something(headline):
        report.flaw(facts.headline_place, "is missing: a story needs a headline")
    if facts.embargo_until and facts.expires_at and facts.expires_at <= facts.embargo_until:
        report.flaw(facts.place, "would expire before its embargo lifts")
    return report.flaws


def _line(text: str, longest: int, place: str, report: Report) -> str:
    line = plain_line(text)
    if len(line) > longest:
        report.remark(place, f"has {len(line):,} characters and was cut to {longest:,}")
    return shorten(line, longest)


def _line_as_body(line: str) -> str:
    return f"<p>{html.escape(line, quote=False)}</p>" if line else ""


def _distinct_pictures(pictures: Iterable[Picture]) -> tuple[Picture, ...]:
    by_url: dict[str, Picture] = {}
    for picture in pictures:
        by_url.setdefault(picture.url, picture)
    return tuple(by_url.values())[:MAX_PICTURES]


def _image_in(body: str) -> Picture | None:
    image = first_image(body)
    url = picture_address(image[0], None) if image else None
    return Picture(url=url, alt=plain_line(image[1])) if image and url else None
