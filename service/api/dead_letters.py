"""Dead letters: deliveries that were given up, why, and their replay by a person."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from service.actions import replays
from service.http.api_document import Router
from service.http.auth import AdminCaller
from service.http.dependencies import (
    Closed,
    Cursor,
    Id,
    Limit,
    Line,
    Listing,
    Moment,
    WorkDep,
    at_most,
    page,
)
from service.store.deliveries import dead_letters
from service.store.deliveries.dead_letters import DeadLetter, Filter

router = Router(prefix="/api/admin/dead-letters", tags=["admin"])

MAX_IDS = 1000


class DeadLetterShown(BaseModel):
    """Deliveries of one batch that were given up for one reason and with one answer."""

    id: Id
    alert_id: Id
    provider: str
    reason: str
    answer: str
    devices: int
    buried_at: Moment
    replayed_at: Moment | None = None
    replayed_by: str | None = None


class ReplayBody(Closed):
    """Which ones to push again: those that match every given member."""

    ids: Annotated[list[Id], at_most(MAX_IDS)] | None = None
    alert: Id | None = None
    provider: Line | None = None
    reason: Line | None = None


class ReplayCount(BaseModel):
    """How many devices are pushed to again."""

    devices: int


@router.get("", response_model_exclude_none=False)
def list_dead_letters(
    work: WorkDep,
    _: AdminCaller,
    alert: Id | None = None,
    provider: Annotated[Line | None, Query()] = None,
    reason: Annotated[Line | None, Query()] = None,
    replayed: Annotated[bool, Query(description="List the replayed ones instead.")] = False,  # noqa: FBT002 - a query's default
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listing[DeadLetterShown]:
    """List the deliveries given up and not replayed since, the newest first."""
    matching = Filter(alert_id=alert, provider=provider, reason=reason)
    letters = dead_letters.page(work.session, matching, cursor, limit, replayed=replayed)
    return page([_shown(letter) for letter in letters.items], letters.next)


@router.post("/replay")
def replay_dead_letters(work: WorkDep, caller: AdminCaller, body: ReplayBody) -> ReplayCount:
    """Push them again under their old delivery ids.

    Passed over are alerts that were stopped or replaced or whose story is gone, and batches that a
    worker has leased. One call replays at most two million deliveries of an alert.
    """
    matching = Filter(
        ids=None if body.ids is None else tuple(body.ids),
        alert_id=body.alert,
        provider=body.provider,
        reason=body.reason,
    )
    return ReplayCount(devices=replays.replay_matching(work, matching, caller))


def _shown(letter: DeadLetter) -> DeadLetterShown:
    return DeadLetterShown.model_validate(letter, from_attributes=True)
