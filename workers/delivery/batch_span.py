"""One span for each batch under a lease: from its claim until it is given back, and the answers.

It says how many answers had which verdict, never to whom a push went.
"""

from collections.abc import Iterable

from service.tracing.spans import NO_SPAN, start_span
from workers.counters import VERDICT_NAMES
from workers.delivery.channel import Channel
from workers.delivery.leased_batch import LeasedBatch


def begin_span(alert_id: int, channel: Channel, batch: LeasedBatch, pushes: int) -> None:
    """Begin the span of a batch that was just claimed, with `pushes` of it due."""
    batch.span = start_span(
        "deliver_batch",
        {
            "newszop.alert": str(alert_id),
            "newszop.shard": batch.claim.shard_n,
            "newszop.batch": batch.claim.n,
            "newszop.provider": channel.provider_name,
            "newszop.app": channel.name,
            "newszop.pushes": pushes,
        },
    )


def end_span(batch: LeasedBatch, end: str) -> None:
    """End the span of a batch that is no longer ours."""
    if batch.span is NO_SPAN:
        return
    accepted = sum(batch.progress.values()) - sum(batch.claim.progress[1::2])
    batch.span.note({"newszop.end": end, "newszop.accepted": accepted})
    for kind, count in batch.answers_in_vain.items():
        batch.span.note({f"newszop.{VERDICT_NAMES[kind]}": count})
    batch.span.end()
    batch.span = NO_SPAN


def end_spans(batches: Iterable[tuple[Channel, LeasedBatch]]) -> None:
    """End the spans of batches that a stream could not give back."""
    for _, batch in batches:
        end_span(batch, "lost")
