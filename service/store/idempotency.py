"""The table `idempotency`: the first answer to each key, so that it can be given again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.domain.errors import Invalid, KeyReused
from service.store.schema import IdempotencyRow

LONGEST_KEY = 255
KEPT = "48 hours"
FORGOTTEN_A_PASS = 5000

_IDEMPOTENCY = SQLModel.metadata.tables[IdempotencyRow.__tablename__]
_I = _IDEMPOTENCY.c


def find(
    session: Session, caller: str, endpoint: str, key: str, body_hash: bytes
) -> tuple[int, dict[str, Any]] | None:
    """Return the status and body of the first answer, None when this is the first request.

    A second request with the same key waits here until the first has ended, whichever way.
    """
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid("Idempotency-Key", f"Use 1 to {LONGEST_KEY} printable characters.")
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7241))"),
        {"key": f"{caller}\n{endpoint}\n{key}"},
    )
    row = session.execute(
        select(_I.body_hash, _I.status, _I.answer)
        .where(_I.caller == caller, _I.endpoint == endpoint, _I.key == key)
        .where(_I.created_at > func.now() - text(f"interval '{KEPT}'"))
    ).one_or_none()
    if row is None:
        return None
    if row.body_hash != body_hash:
        raise KeyReused("This Idempotency-Key was used with another body: take a new one.")
    return row.status, row.answer


def keep(
    session: Session,
    caller: str,
    endpoint: str,
    key: str,
    body_hash: bytes,
    status: int,
    answer: Mapping[str, Any],
) -> None:
    """Keep the first answer, in the transaction of what it reports; for 48 hours."""
    values = {
        "body_hash": body_hash,
        "status": status,
        "answer": dict(answer),
        "created_at": func.now(),
    }
    session.execute(
        insert(_IDEMPOTENCY)
        .values(caller=caller, endpoint=endpoint, key=key, **values)
        .on_conflict_do_update(index_elements=["caller", "endpoint", "key"], set_=values)
    )


def forget_old_answers(session: Session) -> None:
    """Drop what keys were answered more than 48 hours ago, some at a time."""
    session.execute(
        text(
            "DELETE FROM idempotency WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency "
            f"WHERE created_at < now() - interval '{KEPT}' LIMIT {FORGOTTEN_A_PASS}))"
        )
    )
