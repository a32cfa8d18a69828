"""What was said against devices, decided when their batch is given back: all is known by then."""

from sqlmodel import Session

from service.domain.evidence import ONE_SERVER, Finding, judge_doubt, judge_refusal
from service.store.alerts import alert_totals
from service.store.operations import pauses
from workers.delivery.channel import Channel
from workers.delivery.leased_batch import LeasedBatch


def judge_devices(session: Session, alert_id: int, channel: Channel, batch: LeasedBatch) -> None:
    """Decide on every doubt and every refusal of the batch."""
    if batch.doubts:
        _judge_doubts(session, alert_id, channel, batch)
    for position, origin in list(batch.refusals.items()):
        tally = channel.evidence.of(origin)
        if not tally.refusals_are_few:
            batch.drop_refused(position)
            continue
        finding = judge_refusal(tally, batch.history_of(position))
        suspect, gone = finding is Finding.SUSPECT, finding is Finding.GONE
        batch.decide_refused(position, suspect=suspect, gone=gone)


def _judge_doubts(session: Session, alert_id: int, channel: Channel, batch: LeasedBatch) -> None:
    for origin in {doubt.origin for doubt in batch.doubts.values()}:
        read_record(session, alert_id, channel, origin)
    provider_held = channel.is_held or bool(pauses.unusable(session, [channel.name]))
    for position, doubt in list(batch.doubts.items()):
        wait_s = 0.0 if provider_held else channel.origins.hold_left(doubt.origin)
        held = provider_held or wait_s > 0
        tally = channel.evidence.of(doubt.origin)
        match judge_doubt(tally, batch.history_of(position), held=held):
            case Finding.GONE:
                batch.forget_doubted(position)
            case Finding.OUR_FAULT:
                batch.spare_doubted(position, "its provider was held meanwhile", wait_s)
            case Finding.SUSPECT:
                batch.bury_doubted(position, suspect=True)
            case Finding.BURIED:
                batch.bury_doubted(position, suspect=False)


def read_record(session: Session, alert_id: int, channel: Channel, origin: str) -> None:
    """Learn what other processes were answered, where it could change what we make of doubts.

    The record is by provider: what it says of one origin among many cannot be told.
    """
    if origin == ONE_SERVER and not channel.evidence.of(origin).doubts_are_few:
        accepted, answers = alert_totals.answers_on_record(session, alert_id, channel.name)
        channel.evidence.note_record(origin, accepted=accepted, answers=answers)
