"""One entry of a feed, however it was written, to a story."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.formats.composing import StoryFacts, compose
from service.formats.incoming import (
    BrokenStory,
    IncomingStory,
    Picture,
    PublicationStatus,
    Report,
    Subject,
)
from service.formats.json_document import known_language
from service.formats.links import identity_of
from service.formats.markup import body_html, first_paragraph
from service.formats.text import plain_line, shorten

MAX_ENTRIES = 500
LONGEST_SUMMARY = 500
LONGEST_EXCERPT = 300
LONGEST_MADE_HEADLINE = 120


_POST_APPEARED = re.compile(
    r"(?:<p>)?The post <a [^<>]*>[^<>]*</a> appeared first on "
    r"<a [^<>]*>[^<>]*</a>\.?\s*+(?:</p>\s*+)?$"
)
"""What WordPress adds to each entry of its feeds."""


@dataclass(slots=True, kw_only=True)
class FeedFacts:
    """What a feed says of itself, and its stories."""

    title: str = ""
    home_page: str | None = None
    language: str | None = None
    self_url: str | None = None
    hubs: list[str] = field(default_factory=list)
    minutes_between_polls: int | None = None
    complete: bool = False
    stories: list[IncomingStory | BrokenStory] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class EntryFacts:
    """What an entry says. `summary` and `body` may be HTML; `safe_body` is already clean."""

    place: str
    base: str | None
    identity: str = ""
    link: str | None = None
    title: str = ""
    summary: str = ""
    body: str = ""
    safe_body: str = ""
    author: str = ""
    language: str = ""
    subjects: Iterable[Subject | None] = ()
    pictures: list[Picture] = field(default_factory=list)
    published_at: datetime | None = None
    updated_at: datetime | None = None
    status: PublicationStatus = PublicationStatus.USABLE
    rights: str = ""


def entry_story(
    entry: EntryFacts, report: Report, aliases: Mapping[str, str] | None
) -> IncomingStory | BrokenStory:
    """Return an entry's story. Its name is its id, else its link without campaign parameters.

    Without a body the summary is one; without a summary the first paragraph is; without a title
    the first words are the headline.
    """
    entry.summary = _POST_APPEARED.sub("", entry.summary)
    markup = _POST_APPEARED.sub("", entry.body) or entry.summary
    body = entry.safe_body or body_html(markup, entry.base, report, f"{entry.place} (content)")
    excerpt = first_paragraph(body)
    summary = shorten(plain_line(entry.summary) if _adds(entry) else "", LONGEST_SUMMARY)
    headline = plain_line(entry.title) or shorten(excerpt, LONGEST_MADE_HEADLINE)
    quiet = Report()
    facts = StoryFacts(
        place=entry.place,
        uri=entry.identity or (identity_of(entry.link) if entry.link else ""),
        uri_place=f"{entry.place} (id and link)",
        headline_place=f"{entry.place} (title)",
        status=entry.status,
        headline=headline,
        summary=summary or shorten(excerpt, LONGEST_EXCERPT),
        body=body,
        language=known_language(entry.language, entry.place, quiet),
        author=entry.author,
        subjects=entry.subjects,
        pictures=entry.pictures,
        published_at=entry.published_at,
        updated_at=entry.updated_at or entry.published_at,
        link=entry.link,
        rights=entry.rights,
    )
    for flaw in quiet.flaws:
        report.remark(flaw.place, flaw.fault)
    return compose(facts, report, aliases)


def distinct_entries(
    stories: Iterable[IncomingStory | BrokenStory],
) -> list[IncomingStory | BrokenStory]:
    """Drop entries whose name came before: the first, the newest, counts."""
    names: set[str] = set()
    entries: list[IncomingStory | BrokenStory] = []
    for story in stories:
        if story.uri and story.uri in names:
            continue
        names.add(story.uri)
        entries.append(story)
    return entries


def _adds(entry: EntryFacts) -> bool:
    """Whether the summary says other things than the body, which repeats it otherwise."""
    return bool(entry.body or entry.safe_body)
