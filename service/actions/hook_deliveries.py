"""Signed deliveries of other systems: authenticated first, kept as they came, then taken in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.actions.ingest import SourceRules
from service.actions.ingest_documents import IngestedDocument, IngestedStory, ingest_document
from service.domain.errors import Conflict, Refusal, Unauthenticated, require
from service.domain.people import Caller, Scope
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
from service.store.staff import audit
from service.store.stories import sources
from service.store.stories.sources import Source, SourceDelivery
from service.unit_of_work import UnitOfWork

MAX_ERROR = 1000
REFUSED = "refused"
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


def take_delivery(
    work: UnitOfWork, name: str, headers: Mapping[str, str], body: bytes, keys: SealKeys
) -> HookResult:
    """Take in what a source sent. Raises `Unauthenticated` or `Conflict` before anything is kept.

    An authentic delivery is kept whatever becomes of it. One whose signature covers its time is
    taken in once; one without a time may come again and changes nothing then.
    """
    source = require(sources.by_name(work.session, name), "source")
    scheme = SignatureScheme(source.signature)
    secret = unseal(keys, source.secret, str(source.id))
    check = check_signature(scheme, headers, body, [secret], work.now)
    if check is not SignatureCheck.SOUND:
        refusal, sentence = _REFUSALS[check]
        raise refusal(sentence)
    if source.paused:
        raise Conflict("This source is paused.")
    signature = headers.get(f"x-{scheme}-signature", "") if scheme.is_timed else ""
    key = delivery_key(body + signature.encode())
    delivery = sources.lock_delivery(work.session, source.id, key, body)
    if scheme.is_timed and delivery.outcome not in ("", REFUSED):
        raise Conflict("This delivery was taken in before.")
    result = _read_delivery(work, source, delivery)
    sources.drop_surplus(work.session, source.id)
    return result


def replay_delivery(
    work: UnitOfWork, source_id: int, delivery_id: int, caller: Caller
) -> HookResult:
    """Take in a delivery that was kept once more: after its field map was mended, for instance."""
    source = require(sources.lock(work.session, source_id), "source")
    delivery = require(sources.get_delivery(work.session, source_id, delivery_id), "delivery")
    what = f"source:{source_id}"
    audit.write(work.session, caller.name, "replay delivery", what, delivery=str(delivery_id))
    return _read_delivery(work, source, delivery)


def source_field_map(source: Source) -> FieldMap:
    """Return a custom source's map; raises `MalformedDocument` naming the fields at fault."""
    return make_field_map(
        source.field_map.get("fields", {}),
        stories=source.field_map.get("stories", ""),
        statuses=source.field_map.get("statuses", {}),
    )


def _read_delivery(work: UnitOfWork, source: Source, delivery: SourceDelivery) -> HookResult:
    result = _ingest(work, source, delivery.body)
    outcomes = [
        story.result.outcome.value if isinstance(story, IngestedStory) else REFUSED
        for story in result.document
    ]
    outcome = ", ".join(sorted(set(outcomes))) or REFUSED
    error = result.refusal.detail[:MAX_ERROR] if result.refusal else ""
    sources.count_delivery(work.session, delivery.id, outcome, error)
    return result


def _ingest(work: UnitOfWork, source: Source, body: bytes) -> HookResult:
    rules = SourceRules(
        scope=f"{source.kind}:{source.name}",
        publish=source.publish,
        topics=source.topics,
        language=source.language,
    )
    caller = Caller(
        name=f"source:{source.id}", label=source.name, scopes=frozenset({Scope.STORIES_WRITE})
    )
    try:
        with work.session.begin_nested():
            return HookResult(ingest_document(work, _parse(source, body), rules, caller))
    except Refusal as refusal:
        return HookResult(refusal=refusal)


def _parse(source: Source, body: bytes) -> Stories:
    if source.kind in _SINGLE:
        return (_SINGLE[source.kind](body),)
    return parse_mapped(body, source_field_map(source))
