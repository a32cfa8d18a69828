"""Dead letters: what was given up, why, and its replay by a person."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from service.actions import replays
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
    page,
)
from service.store.deliveries import dead_letters
from service.store.deliveries.dead_letters import DeadLetter, Filter

router = APIRouter(prefix="/api/admin/dead-letters", tags=["admin"])

MOST_IDS = 1000


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
    """Which ones to push again: those that meet everything that is given."""

    ids: Annotated[list[Id], Field(max_length=MOST_IDS)] | None = None
    alert: Id | None = None
    provider: Line | None = None
    reason: Line | None = None


class Replayed(BaseModel):
    """How many devices are pushed to again."""

    devices: int


@router.get("", response_model_exclude_none=False)
def listed(
    work: WorkDep,
    _: AdminCaller,
    alert: Id | None = None,
    provider: Annotated[Line | None, Query()] = None,
    reason: Annotated[Line | None, Query()] = None,
    replayed: Annotated[bool, Query(description="Those that were replayed instead.")] = False,  # noqa: FBT002 - a query's default
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listing[DeadLetterShown]:
    """List what was given up and not replayed since, the newest first."""
    which = Filter(alert_id=alert, provider=provider, reason=reason)
    found = dead_letters.page(work.session, which, cursor, limit, replayed=replayed)
    return page([_shown(letter) for letter in found.items], found.next)


@router.post("/replay")
def replay(work: WorkDep, caller: AdminCaller, body: ReplayBody) -> Replayed:
    """Push them again under their old delivery ids.

    Alerts that were stopped, replaced or whose story is gone are passed over, and so is what a
    worker holds just now. One call replays two million deliveries of an alert at most.
    """
    which = Filter(
        ids=None if body.ids is None else tuple(body.ids),
        alert_id=body.alert,
        provider=body.provider,
        reason=body.reason,
    )
    return Replayed(devices=replays.replay_matching(work, which, caller))


def _shown(letter: DeadLetter) -> DeadLetterShown:
    return DeadLetterShown.model_validate(letter, from_attributes=True)
