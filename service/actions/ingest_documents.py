"""A whole document of a news format taken in: each story stands alone, with its outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.actions.ingest import IngestResult, SourceRules, ingest_incoming, lock_names
from service.domain.errors import Invalid, Refusal
from service.domain.people import Caller
from service.formats.incoming import (
    BrokenStory,
    Flaw,
    IncomingStory,
    MalformedDocument,
    Stories,
)
from service.formats.newsml.newsml_g2 import parse_newsml_g2
from service.formats.ninjs import parse_ninjs
from service.unit_of_work import UnitOfWork

FORMATS: Mapping[str, Callable[[bytes], Stories]] = {
    "ninjs": parse_ninjs,
    "newsml-g2": parse_newsml_g2,
}


@dataclass(frozen=True, slots=True)
class IngestedStory:
    """A story of a document that was taken in, or ignored."""

    incoming: IncomingStory
    result: IngestResult


@dataclass(frozen=True, slots=True)
class RefusedStory:
    """A story of a document that was refused: its name, if it could be read, and why."""

    uri: str
    flaws: tuple[Flaw, ...]


IngestedDocument = tuple[IngestedStory | RefusedStory, ...]


def ingest_document(
    work: UnitOfWork, stories: Stories, rules: SourceRules, caller: Caller
) -> IngestedDocument:
    """Take in every story of a document, in its order; a refused one changes nothing.

    Raises `MalformedDocument` with all reasons when none of them can be taken in.
    """
    readable = [story for story in stories if isinstance(story, IncomingStory)]
    lock_names(work, readable, rules)
    results = tuple(_ingest_one(work, story, rules, caller) for story in stories)
    refusals = [result for result in results if isinstance(result, RefusedStory)]
    if len(refusals) == len(results):
        raise MalformedDocument(flaw for refusal in refusals for flaw in refusal.flaws)
    return results


def _ingest_one(
    work: UnitOfWork, story: IncomingStory | BrokenStory, rules: SourceRules, caller: Caller
) -> IngestedStory | RefusedStory:
    if isinstance(story, BrokenStory):
        return RefusedStory(story.uri, story.flaws)
    try:
        with work.session.begin_nested():
            return IngestedStory(story, ingest_incoming(work, story, rules, caller))
    except Invalid as refusal:
        return RefusedStory(story.uri, tuple(Flaw(*fault) for fault in refusal.faults))
    except Refusal as refusal:
        return RefusedStory(story.uri, (Flaw(story.uri, refusal.detail),))
