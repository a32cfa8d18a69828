"""The table `idempotency`: the first answer to each key, so that it can be given again."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from service.domain.errors import Invalid, KeyReused

LONGEST_KEY = 255
KEPT = "48 hours"
FORGOTTEN_A_PASS = 5000

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7241))")

_FIND = text(f"""
    SELECT body_hash, status, answer FROM idempotency
    WHERE caller = :caller AND endpoint = :endpoint AND key = :key
    AND created_at > now() - interval '{KEPT}'""")

_KEEP = text("""
    INSERT INTO idempotency (caller, endpoint, key, body_hash, status, answer, created_at)
    VALUES (:caller, :endpoint, :key, :body_hash, :status, CAST(:answer AS jsonb), now())
    ON CONFLICT (caller, endpoint, key) DO UPDATE SET body_hash = excluded.body_hash,
        status = excluded.status, answer = excluded.answer, created_at = excluded.created_at""")

_FORGET = text(f"""
    DELETE FROM idempotency WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency
    WHERE created_at < now() - interval '{KEPT}' LIMIT {FORGOTTEN_A_PASS}))""")


def find(
    session: Session, caller: str, endpoint: str, key: str, body_hash: bytes
) -> tuple[int, dict[str, Any]] | None:
    """Return the status and body of the first answer, None when this is the first request.

    A second request with the same key waits here until the first has ended, whichever way.
    """
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid("Idempotency-Key", f"Use 1 to {LONGEST_KEY} printable characters.")
    session.execute(_LOCK, {"key": f"{caller}\n{endpoint}\n{key}"})
    values = {"caller": caller, "endpoint": endpoint, "key": key}
    row = session.execute(_FIND, values).one_or_none()
    if row is None:
        return None
    if bytes(row.body_hash) != body_hash:
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
    values = {"caller": caller, "endpoint": endpoint, "key": key, "body_hash": body_hash}
    session.execute(_KEEP, values | {"status": status, "answer": json.dumps(dict(answer))})


def forget_old_answers(session: Session) -> None:
    """Drop what keys were answered more than 48 hours ago, some at a time."""
    session.execute(_FORGET)
