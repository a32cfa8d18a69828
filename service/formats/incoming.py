"""What every format is read into, and how a format says what is wrong with a document."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.domain.errors import Invalid

MAX_FLAWS = 20
MAX_VERSION = 2**31 - 1
MAX_URI = 2048
_ABSOLUTE_URI = re.compile(r"[a-z][a-z0-9+.-]{1,30}:\S+", re.IGNORECASE | re.ASCII)


class PublicationStatus(StrEnum):
    """The agencies' three states. The last two take a story back and stop its alerts."""

    USABLE = "usable"
    WITHHELD = "withheld"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with a document.

    `place` is a JSON path (`$.headlines[0].value`), an XML path (`/newsItem/@guid`) or a field.
    """

    place: str
    fault: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a story is about, in the sender's terms.

    `code` is `medtop:15000000` for a Media Topic, `subj:15054000` for a Subject Code, otherwise the
    sender's own URI or `scheme:code`; empty for a mere keyword.
    """

    code: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: an absolute https URL, pixels where the sender says them."""

    url: str
    alt: str = ""
    caption: str = ""
    credit: str = ""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingStory:
    """Everything a story of any format may bring. Times are in UTC.

    `headline`, `summary` and `author` are plain text on one line; `body` is safe HTML with absolute
    links. `uri` names the story at its sender; `uri_is_global` says whether it does so beyond this
    source. `version` is the sender's number, None where it has none: then `updated_at` orders what
    arrives. `topics` are paths, from the subjects whose codes have one. `remarks` name what was
    repaired or left out, for the person who can mend it.
    """

    uri: str
    version: int | None = None
    status: PublicationStatus = PublicationStatus.USABLE
    headline: str = ""
    summary: str = ""
    body: str = ""
    language: str | None = None
    author: str = ""
    subjects: tuple[Subject, ...] = ()
    topics: tuple[str, ...] = ()
    image: Picture | None = None
    pictures: tuple[Picture, ...] = ()
    urgency: int | None = None
    embargo_until: datetime | None = None
    expires_at: datetime | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    is_correction: bool = False
    link: str | None = None
    rights: str = ""
    remarks: tuple[Flaw, ...] = ()

    @property
    def uri_is_global(self) -> bool:
        """Whether `uri` is an absolute URI; a bare id is unique only within its source."""
        return _ABSOLUTE_URI.fullmatch(self.uri) is not None

    @property
    def is_kill(self) -> bool:
        """Whether the sender takes the story back."""
        return self.status is not PublicationStatus.USABLE

    @property
    def content_hash(self) -> str:
        """SHA-256, in hex, of what readers see: the same text again has the same hash.

        Versions, times and remarks are left out: feeds restamp what they do not change.
        """
        image = self.image.url if self.image else None
        rule = [_iso(self.embargo_until), _iso(self.expires_at), self.urgency, self.status]
        words = [self.headline, self.summary, self.body, self.author, self.language]
        return _digest([*words, image, [*self.topics], *rule])


@dataclass(frozen=True, slots=True)
class BrokenStory:
    """One story of several that cannot be read; the others can.

    `place` is where it stands in the document, `uri` its name at the sender if it could be read.
    """

    place: str
    uri: str
    flaws: tuple[Flaw, ...]


Stories = tuple[IncomingStory | BrokenStory, ...]


class MalformedDocument(Invalid):
    """A document as a whole cannot be read: `flaws` says where and why, at most twenty."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        self.flaws = tuple(flaws)[:MAX_FLAWS]
        super().__init__(self.flaws[0].place, "; ".join(map(str, self.flaws)))

    @property
    def faults(self) -> tuple[tuple[str, str], ...]:
        """Every place that is wrong, with what is wrong there."""
        return tuple((flaw.place, flaw.fault) for flaw in self.flaws)


class Report:
    """Collects flaws and remarks while one story is read."""

    def __init__(self) -> None:
        self._flaws: dict[Flaw, None] = {}
        self._remarks: dict[Flaw, None] = {}

    @property
    def has_all_flaws(self) -> bool:
        """Whether no more flaws are noted; to find a place costs the number of its neighbours."""
        return len(self._flaws) == MAX_FLAWS

    def flaw(self, place: str, fault: str) -> None:
        """Note what makes the story unreadable."""
        if len(self._flaws) < MAX_FLAWS:
            self._flaws[Flaw(place, fault)] = None

    def remark(self, place: str, fault: str) -> None:
        """Note what was repaired or left out."""
        if len(self._remarks) < MAX_FLAWS:
            self._remarks[Flaw(place, fault)] = None

    @property
    def flaws(self) -> tuple[Flaw, ...]:
        """What makes the story unreadable."""
        return tuple(self._flaws)

    @property
    def remarks(self) -> tuple[Flaw, ...]:
        """What was repaired or left out."""
        return tuple(self._remarks)


def single(stories: Stories) -> IncomingStory:
    """Return the one story of a document that holds one, or raise `MalformedDocument`."""
    if len(stories) != 1:
        raise MalformedDocument([Flaw("$", f"holds {len(stories)} stories instead of one")])
    story = stories[0]
    if isinstance(story, BrokenStory):
        raise MalformedDocument(story.flaws)
    return story


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _digest(facts: list[object]) -> str:
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
