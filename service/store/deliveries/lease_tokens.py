"""The token of a lease: its upper half is the number of the process that holds it.

So the leases of a process that has died can be ended at once, whatever it held.
"""

import secrets

from sqlalchemy import text
from sqlmodel import Session

from service.store.schema import ID_LIMIT
from service.store.sql_fragments import batch_is_open

TOKENS = 2**32
"""So many tokens one process can draw from: no two claims of a batch have the same."""
HOLDERS = 2**31


def new_holder() -> int:
    """Return a number for a process that claims batches."""
    return secrets.randbelow(HOLDERS - 1) + 1


def new_token(holder: int | None) -> int:
    """Return a token for one claim; without a holder it is nobody's to end but the claimant's."""
    if holder is None:
        return secrets.randbelow(ID_LIMIT)
    return holder * TOKENS + secrets.randbelow(TOKENS)


_END = f"""
UPDATE batch SET lease_token = NULL, claimable_at = now()
WHERE {batch_is_open()} AND claimable_at > now()
AND lease_token >= :first AND lease_token < :behind
RETURNING 1
"""


def end_leases(session: Session, holder: int) -> int:
    """End the leases of a process that is known to be dead; returns how many it had."""
    first = holder * TOKENS
    values = {"first": first, "behind": first + TOKENS}
    return len(session.execute(text(_END), values).all())
