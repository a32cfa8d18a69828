"""A claimed batch's devices, ready to be pushed to."""

import re
from collections.abc import Sequence

from service.domain import receipt
from service.domain.delivery import State, delivery_ids
from service.store.deliveries import batch_claims
from workers.delivery.leased_batch import LeasedBatch
from workers.provider import Answer, Target, one_line

LONGEST_QUOTE = 300
_ADDRESS_LIKE = re.compile(r"[A-Za-z0-9_:%+/=.-]{20,}")


def targets_of(
    batch: LeasedBatch, alert_id: int, rows: Sequence[batch_claims.DeviceFields], secret: bytes
) -> list[Target]:
    """Return the devices that are due of those that were read; a due one that was not is gone."""
    due = set(batch.positions_due())
    rows = [row for row in rows if row[0] in due]
    if len(rows) < len(due):
        batch.close(due - {row[0] for row in rows}, State.GONE)
    shard_n, n = batch.key
    delivery_id_of = delivery_ids(alert_id)
    counts = batch.claim.results
    for row in rows:
        batch.note_history(row[0], row[8])
    return [
        Target(
            position=position,
            delivery_id=delivery_id_of(device_id),
            address=address,
            kind=kind,
            p256dh=p256dh,
            auth=auth,
            locale=locale,
            receipt=receipt.sign(secret, alert_id, shard_n, n, position, counts=counts),
            vapid_key=vapid_key,
        )
        for position, device_id, address, kind, p256dh, auth, vapid_key, locale, _ in rows
    ]


def quote(answer: Answer) -> str:
    """Return an answer for people: short, and nothing in it that could be an address."""
    if answer.failure is not None:
        detail = one_line(answer.detail)
        return f"{answer.failure}: {_ADDRESS_LIKE.sub('…', detail)}"[:LONGEST_QUOTE]
    body = one_line(answer.body.decode(errors="replace"))
    return f"{answer.status} {_ADDRESS_LIKE.sub('…', body)}"[:LONGEST_QUOTE].strip()
