"""What people do with sources: add, change, remove."""

from dataclasses import dataclass, field, replace
from typing import Any

from service.actions import story_text
from service.actions.hook_deliveries import SIGNATURES, source_field_map
from service.domain.errors import Conflict, require
from service.domain.language import parse_language
from service.domain.people import Caller
from service.sealing import SealKeys, seal
from service.store.schema import new_id
from service.store.staff import audit
from service.store.stories import sources
from service.store.stories.sources import Source
from service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """What is new of a source: its secret, and values by the names of its fields."""

    secret: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


def add_source(
    work: UnitOfWork, kind: str, name: str, change: SourceChange, keys: SealKeys, caller: Caller
) -> Source:
    """Add a source; raises `Conflict` when its name is taken, `Invalid` for a wrong field."""
    blank = Source(id=new_id(), kind=kind, name=name, signature=SIGNATURES[kind].value)
    source = _apply(blank, change, keys)
    if not sources.add(work.session, source):
        raise Conflict(f"There is a source called {name}.")
    audit.write(work.session, caller.name, "add source", f"source:{source.id}", name=name)
    return source


def change_source(
    work: UnitOfWork, source_id: int, change: SourceChange, keys: SealKeys, caller: Caller
) -> Source:
    """Change a source; what the change leaves out stays."""
    current = require(sources.lock(work.session, source_id), "source")
    source = _apply(current, change, keys)
    sources.save(work.session, source)
    names = sorted([*change.values, *["secret"] * (change.secret is not None)])
    audit.write(work.session, caller.name, "change source", f"source:{source_id}", fields=names)
    return source


def remove_source(work: UnitOfWork, source_id: int, caller: Caller) -> None:
    """Remove a source and its deliveries; its stories stay."""
    source = require(sources.lock(work.session, source_id), "source")
    sources.remove(work.session, source_id)
    audit.write(work.session, caller.name, "remove source", f"source:{source_id}", name=source.name)


def _apply(source: Source, change: SourceChange, keys: SealKeys) -> Source:
    values = dict(change.values)
    if "topics" in values:
        values["topics"] = story_text.check_topics(values["topics"])
    if "language" in values:
        values["language"] = parse_language(values["language"])
    if "signature" in values:
        values["signature"] = str(values["signature"])
    if change.secret is not None:
        values["secret"] = seal(keys, change.secret, str(source.id))
    source = replace(source, **values)
    if source.kind == "custom":
        source_field_map(source)
    return source
