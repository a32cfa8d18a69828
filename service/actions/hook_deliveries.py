"""Signed deliveries of other systems: authenticated first, kept as they came, then taken in."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.actions.ingest import SourceRules
from service.actions.ingest_documents import (
    IngestedDocument,
    IngestedStory,
    RefusedStory,
    ingest_document,
)
from service.actions.source_alerts import AlertCircumstances, alert_new_stories, source_caller
from service.domain.errors import Conflict, Refusal, Unauthenticated, no_such, require
from service.domain.people import Caller
from service.formats.feeds.feed import parse_feed
from service.formats.hooks.field_map import FieldMap, make_field_map, parse_mapped
from service.formats.hooks.ghost import parse_ghost
from service.formats.hooks.signatures import (
    SignatureCheck,
    SignatureScheme,
    check_signature,
    delivery_key,
)
from service.formats.hooks.superdesk import parse_superdesk
from service.formats.hooks.wordpress import parse_wordpress
from service.formats.incoming import Stories
from service.sealing import SealKeys, unseal
from service.settings import Settings
from service.store.staff import audit
from service.store.stories import feeds, sources
from service.store.stories.sources import Source, SourceDelivery
from service.unit_of_work import UnitOfWork

MAX_ERROR = 1000
REFUSED = "refused"
FEED = "feed"
"""The kind of source that is polled; nobody may post to it."""
SIGNATURES: Mapping[str, SignatureScheme] = {
    "superdesk": SignatureScheme.SUPERDESK,
    "ghost": SignatureScheme.GHOST,
    "wordpress": SignatureScheme.HUB,
    "custom": SignatureScheme.NEWSZOP,
}
"""How each kind of source signs unless it says otherwise."""
_SINGLE: Mapping[str, Callable[[bytes], Any]] = {
    "superdesk": parse_superdesk,
    "ghost": parse_ghost,
    "wordpress": parse_wordpress,
}
_REFUSALS: Mapping[SignatureCheck, tuple[type[Refusal], str]] = {
    SignatureCheck.UNCONFIGURED: (
        Unauthenticated,
        "This source has no secret, so it takes nothing.",
    ),
    SignatureCheck.UNSIGNED: (Unauthenticated, "The delivery is not signed."),
    SignatureCheck.FORGED: (Unauthenticated, "The signature is not that of this body and secret."),
    SignatureCheck.STALE: (Conflict, "The signature's time is more than five minutes away."),
}


@dataclass(frozen=True, slots=True)
class HookResult:
    """What became of a delivery: its stories, or the refusal that stands in its record."""

    document: IngestedDocument = ()
    refusal: Refusal | None = None


def find_signing_source(session: Session, name: str) -> Source:
    """Return the source that may send signed deliveries under this name; raises `NotFound`."""
    source = require(sources.by_name(session, name), "source")
    if source.kind == FEED:
        raise no_such("source")
    return source


def take_delivery(
    work: UnitOfWork, name: str, headers: Mapping[str, str], body: bytes, settings: Settings
) -> HookResult:
    """Take in what a source sent. Raises `Unauthenticated` or `Conflict` before anything is kept.

    An authentic delivery is kept whatever becomes of it. One whose signature covers its time is
    taken in once; one without a time may come again and changes nothing then.
    """
    source = find_signing_source(work.session, name)
    scheme = SignatureScheme(source.signature)
    check = check_signature(
        scheme, headers, body, _secrets(source, settings.seal_keys, work.now), work.now
    )
    if check is not SignatureCheck.SOUND:
        refusal, sentence = _REFUSALS[check]
        raise refusal(sentence)
    source = require(sources.lock(work.session, source.id), "source")
    if source.paused:
        raise Conflict("This source is paused.")
    signature = headers.get(f"x-{scheme}-signature", "") if scheme.is_timed else ""
    key = delivery_key(body + signature.encode())
    delivery = sources.lock_delivery(work.session, source.id, key, body)
    if scheme.is_timed and delivery.outcome not in ("", REFUSED):
        raise Conflict("This delivery was taken in before.")
    result = read_delivery(work, source, delivery, settings)
    sources.drop_surplus(work.session, source.id)
    return result


def replay_delivery(
    work: UnitOfWork, source_id: int, delivery_id: int, caller: Caller, settings: Settings
) -> HookResult:
    """Take in a delivery that was kept once more: after its field map was mended, for instance."""
    source = require(sources.lock(work.session, source_id), "source")
    delivery = require(sources.get_delivery(work.session, source_id, delivery_id), "delivery")
    what = f"source:{source_id}"
    audit.write(work.session, caller.name, "replay delivery", what, delivery=str(delivery_id))
    return read_delivery(work, source, delivery, settings)


def source_field_map(source: Source) -> FieldMap:
    """Return a custom source's map; raises `MalformedDocument` naming the fields at fault."""
    return make_field_map(
        source.field_map.get("fields", {}),
        stories=source.field_map.get("stories", ""),
        statuses=source.field_map.get("statuses", {}),
    )


def read_delivery(
    work: UnitOfWork, source: Source, delivery: SourceDelivery, settings: Settings
) -> HookResult:
    """Take in the stories of a delivery that is kept, and note what became of it."""
    try:
        with work.session.begin_nested():
            stories = _parse(work, source, delivery.body)
            result = HookResult(ingest_for_source(work, source, stories, settings))
    except Refusal as refusal:
        result = HookResult(refusal=refusal)
    outcome, error = describe_result(result)
    sources.count_delivery(work.session, delivery.id, outcome, error)
    return result


def describe_result(result: HookResult) -> tuple[str, str]:
    """Return what the import log says of a delivery: its outcomes, and what was refused."""
    refusals = [story for story in result.document if isinstance(story, RefusedStory)]
    outcomes = Counter(
        story.result.outcome.value if isinstance(story, IngestedStory) else REFUSED
        for story in result.document
    )
    counts = (
        name if number == 1 else f"{number} {name}" for name, number in sorted(outcomes.items())
    )
    outcome = ", ".join(counts) or REFUSED
    error = result.refusal.detail if result.refusal else ""
    error = error or "; ".join(f"{story.uri} {story.flaws[0]}" for story in refusals)
    return outcome, error[:MAX_ERROR]


def ingest_for_source(
    work: UnitOfWork,
    source: Source,
    stories: Stories,
    settings: Settings,
    *,
    is_first_poll: bool = False,
) -> IngestedDocument:
    """Take in a source's stories as the source may, and suggest or send alerts by its rule."""
    rules = source_rules(source)
    document = ingest_document(work, stories, rules, source_caller(source))
    circumstances = AlertCircumstances(
        breaking_needs_two=settings.breaking_needs_two, is_first_poll=is_first_poll
    )
    alert_new_stories(work, source, document, circumstances)
    return document


def source_rules(source: Source) -> SourceRules:
    """Return what a source may do with the stories that it sends."""
    return SourceRules(
        scope=f"{source.kind}:{source.name}",
        publish=source.publish,
        topics=source.topics,
        categories=source.categories,
        language=source.language,
    )


def _secrets(source: Source, keys: SealKeys, now: datetime) -> list[bytes]:
    """Return the secrets that may sign: the present one, and the one before until its end."""
    ciphertexts = [source.secret]
    if source.old_secret_until is not None and now < source.old_secret_until:
        ciphertexts.append(source.old_secret)
    return [unseal(keys, one, str(source.id)) for one in ciphertexts if one is not None] or [b""]


def _parse(work: UnitOfWork, source: Source, body: bytes) -> Stories:
    if source.kind == FEED:
        feed = require(feeds.get(work.session, source.id), "feed")
        return parse_feed(body, address=feed.address).stories
    if source.kind in _SINGLE:
        return (_SINGLE[source.kind](body),)
    return parse_mapped(body, source_field_map(source))
