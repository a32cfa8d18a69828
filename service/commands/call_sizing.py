"""How large the API must be for the calls that an alert brings back. Pure arithmetic.

Every device that shows the alert may report it; every one that opens it loads a page, reads its
reader, renews its device and reports it. `service/hot/README.md` has the costs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

MEBIT = 1e6 / 8
POOL = 8
"""NEWSZOP_DB_POOL: a process has twice as many connections, and one for each kind of group."""
GROUPS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost:
    """Microseconds of a core that one call takes of an API process and of PostgreSQL."""

    api_us: float
    database_us: float


CALLS = {
    "receipt": CallCost(api_us=530, database_us=170),
    "GET /api/me": CallCost(api_us=330, database_us=40),
    "renewal": CallCost(api_us=620, database_us=260),
}
"""As `make bench ONLY=i` measures them; `service/hot/README.md` has the stages."""


@dataclass(frozen=True, slots=True)
class Return:
    """What devices do within `within_s` seconds of getting an alert, as shares of them."""

    open_share: float
    shown_share: float
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGoal:
    """An alert that leaves in `seconds`, and what comes back of it."""

    devices: int
    seconds: float
    back: Return
    busy: float
    costs: Mapping[str, CallCost] = field(default_factory=lambda: CALLS)
    page_bytes: int = 2_850
    """A story page of the demo, compressed, as a cache delivers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSize:
    """What the calls require at their height."""

    calls: Mapping[str, float]
    """Calls a second, by kind."""
    processes: int
    database_cores: int
    database_connections: int
    pages_per_second: float
    cache_mbit_per_second: float


def size_calls(goal: CallGoal) -> CallSize:
    """Return what is needed at the height of the wave.

    Pushes that leave over `seconds` are answered over `within_s` each, so the height is what comes
    in during the longer of the two.
    """
    height_s = max(goal.seconds, goal.back.within_s)
    opens = goal.devices * goal.back.open_share / height_s
    shown = goal.devices * goal.back.shown_share / height_s
    calls = {"receipt": shown + opens, "GET /api/me": opens, "renewal": opens}
    api_us = sum(rate * goal.costs[call].api_us for call, rate in calls.items())
    database_us = sum(rate * goal.costs[call].database_us for call, rate in calls.items())
    processes = max(ceil(api_us / 1e6 / goal.busy), 1)
    return CallSize(
        calls=calls,
        processes=processes,
        database_cores=max(ceil(database_us / 1e6 / goal.busy), 1),
        database_connections=processes * (2 * POOL + GROUPS),
        pages_per_second=opens,
        cache_mbit_per_second=opens * goal.page_bytes / MEBIT,
    )
