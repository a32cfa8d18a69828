"""What people do with sources: add, change, remove."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from service.actions import story_text
from service.actions.hook_deliveries import SIGNATURES, source_field_map
from service.domain.errors import Conflict, Forbidden, Invalid, require
from service.domain.language import parse_language
from service.domain.people import Caller, Scope
from service.domain.sources.alert_rule import AlertMode, make_alert_rule
from service.domain.topic import parse_path
from service.formats.text import search_key
from service.sealing import CannotOpen, SealKeys, reseal, seal
from service.store.schema import new_id
from service.store.staff import audit
from service.store.stories import feeds, sources
from service.store.stories.sources import Source
from service.unit_of_work import UnitOfWork

MOST_CATEGORIES = 200
NO_SIGNATURE = "none"
SHORTEST_SECRET = 16
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """What is new of a source: its secret, and values by the names of its fields.

    With `old_secret_until` the secret before signs too until then.
    """

    secret: str | None = None
    old_secret_until: datetime | None = None
    values: dict[str, Any] = field(default_factory=dict)


def add_source(
    work: UnitOfWork, kind: str, name: str, change: SourceChange, keys: SealKeys, caller: Caller
) -> Source:
    """Add a source; raises `Conflict` when its name is taken, `Invalid` for a wrong field."""
    signature = SIGNATURES[kind].value if kind in SIGNATURES else NO_SIGNATURE
    blank = Source(id=new_id(), kind=kind, name=name, signature=signature)
    source = _apply(blank, change, keys, caller)
    if not sources.add(work.session, source):
        raise Conflict(f"There is a source called {name}.")
    audit.write(work.session, caller.name, "add source", f"source:{source.id}", name=name)
    return source


def change_source(
    work: UnitOfWork, source_id: int, change: SourceChange, keys: SealKeys, caller: Caller
) -> Source:
    """Change a source; what the change leaves out stays."""
    current = require(sources.lock(work.session, source_id), "source")
    source = _apply(current, change, keys, caller)
    sources.save(work.session, source)
    names = sorted([*change.values, *["secret"] * (change.secret is not None)])
    audit.write(work.session, caller.name, "change source", f"source:{source_id}", fields=names)
    return source


def check_name(name: str) -> str:
    """Return a source's name, which is part of its address; raises `Invalid`."""
    if _NAME.fullmatch(name) is None:
        raise Invalid("name", "A name has small letters, digits and hyphens, at most 63.")
    return name


def check_secret(secret: str) -> str:
    """Return a secret that is long enough; raises `Invalid`."""
    if len(secret) < SHORTEST_SECRET:
        raise Invalid("secret", f"A secret has at least {SHORTEST_SECRET} characters.")
    return secret


def rotate_secret(secret: str, now: datetime, hours: int) -> SourceChange:
    """Return the change to a new secret, with the one before signing for some hours."""
    return SourceChange(secret=check_secret(secret), old_secret_until=now + timedelta(hours=hours))


def remove_source(work: UnitOfWork, source_id: int, caller: Caller) -> None:
    """Remove a source and its deliveries; its stories stay."""
    source = require(sources.lock(work.session, source_id), "source")
    sources.remove(work.session, source_id)
    audit.write(work.session, caller.name, "remove source", f"source:{source_id}", name=source.name)


def reseal_sources(work: UnitOfWork, keys: SealKeys, caller: Caller) -> list[str]:
    """Seal with the present key what an earlier one sealed; return the names of those sources.

    The secrets that hubs sign with are among it; an old secret whose time is over goes.
    """
    names = []
    for source_id in sources.ids_with_secrets(work.session):
        source = require(sources.lock(work.session, source_id), "source")
        try:
            changes = [_reseal(work, keys, source), _reseal_hub(work, keys, source_id)]
        except CannotOpen:
            raise Conflict(f"No key of ours opens the secret of {source.name}.") from None
        if any(changes):
            names.append(source.name)
    if names:
        audit.write(work.session, caller.name, "reseal sources", "sources", names=names)
    return names


def _reseal(work: UnitOfWork, keys: SealKeys, source: Source) -> bool:
    signs = source.old_secret_until is not None and work.now < source.old_secret_until
    secret = reseal(keys, source.secret, str(source.id))
    old_secret = reseal(keys, source.old_secret, str(source.id)) if signs else None
    if (secret, old_secret) == (source.secret, source.old_secret):
        return False
    sources.save(work.session, replace(source, secret=secret, old_secret=old_secret))
    return True


def _reseal_hub(work: UnitOfWork, keys: SealKeys, source_id: int) -> bool:
    feed = feeds.get(work.session, source_id)
    if feed is None:
        return False
    secret = reseal(keys, feed.hub_secret, str(source_id))
    if secret is None or secret == feed.hub_secret:
        return False
    feeds.save_subscription(work.session, source_id, hub_secret=secret)
    return True


def _categories(categories: dict[str, str]) -> dict[str, str]:
    """Return a map of a sender's words to topic paths, by the words' search keys."""
    if len(categories) > MOST_CATEGORIES:
        raise Invalid("categories", f"At most {MOST_CATEGORIES} categories.")
    return {search_key(word): parse_path(path, "categories") for word, path in categories.items()}


def _apply(source: Source, change: SourceChange, keys: SealKeys, caller: Caller) -> Source:
    values = _clean_values(source, change.values)
    if change.secret is not None:
        values["secret"] = seal(keys, change.secret, str(source.id))
        values |= {"old_secret": source.secret, "old_secret_until": change.old_secret_until}
    source = replace(source, **values)
    if source.kind == "custom":
        source_field_map(source)
    changes_sending = {"alert", "alert_rule"} & values.keys()
    if changes_sending and source.alert == AlertMode.SEND:
        _require_alerts(caller)
    return source


def _clean_values(source: Source, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes as a source keeps them; raises `Invalid` for what it cannot be."""
    values = dict(changes)
    if "topics" in values:
        values["topics"] = story_text.check_topics(values["topics"])
    if "language" in values:
        values["language"] = parse_language(values["language"])
    if "categories" in values:
        values["categories"] = _categories(values["categories"])
    if "alert_rule" in values:
        rule = make_alert_rule(source.alert_rule | values["alert_rule"])
        values["alert_rule"] = rule.as_values()
    for name in {"signature", "alert"} & values.keys():
        values[name] = str(values[name])
    return values


def _require_alerts(caller: Caller) -> None:
    """Refuse a caller who may not send alerts to let a source send them."""
    if Scope.ALERTS_WRITE not in caller.scopes:
        raise Forbidden(f"A source that sends alerts needs the scope {Scope.ALERTS_WRITE.value}.")
