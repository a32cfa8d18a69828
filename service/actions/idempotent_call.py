"""Idempotent calls: the first call with a key acts, and a later one gets the first one's answer."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from service.domain.people import Caller
from service.store import idempotency
from service.unit_of_work import UnitOfWork


def run_once(
    work: UnitOfWork,
    caller: Caller,
    endpoint: str,
    key: str,
    body: Any,
    act: Callable[[], dict[str, Any]],
    status: int,
) -> dict[str, Any]:
    """Return what `act` answers, or the answer that the first call with this key got.

    `body` is JSON: the same key with another body raises `KeyReused`. Simultaneous calls with one
    key wait for each other. `act` runs in the unit of work, so its effect and its answer commit
    together; `status` is the HTTP status that goes with the answer.
    """
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    earlier = idempotency.find(work.session, caller.name, endpoint, key, digest)
    if earlier is not None:
        return earlier[1]
    answer = act()
    idempotency.keep(work.session, caller.name, endpoint, key, digest, status, answer)
    return answer
