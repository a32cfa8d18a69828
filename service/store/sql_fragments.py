"""The SQL that several queries share, named once, so that an estimate and a sending cannot drift.

Each function takes the alias of a table and returns an expression for a statement's text. States
are written as literals: the planner uses a partial index only where it reads the index's condition.
"""

from collections.abc import Iterable

from service.domain.alert import AlertState
from service.domain.delivery import STATE_BITS, STATES, UNKNOWN_BIT, State

RUNNING = tuple(state.value for state in AlertState if state.running)
NOT_ENDED = (AlertState.SCHEDULED.value, *RUNNING)


def alert_runs(alert: str = "alert") -> str:
    """Whether pushes of the alert may be leaving now; the index `alert_open` serves it."""
    return _in(f"{alert}.state", RUNNING)


def alert_has_not_ended(alert: str = "alert") -> str:
    """Whether the alert is scheduled or running; the index `alert_open` serves it."""
    return _in(f"{alert}.state", NOT_ENDED)


def due_at(alert: str = "alert") -> str:
    """Return from when the alert's timing counts, as `Alert.due_at`."""
    return f"coalesce({alert}.send_at, {alert}.created_at)"


def batch_is_open(batch: str = "batch") -> str:
    """Whether some delivery of the batch is not final; the index `batch_open` serves it."""
    return f"{batch}.finished_at IS NULL"


def waits_for_release(batch: str = "batch") -> str:
    """Whether no push of the batch has left because its alert does not leave at once."""
    return (
        f"({batch}.started_at IS NULL AND {batch}.claimable_at > now() AND EXISTS (SELECT 1 "
        f"FROM alert owner WHERE owner.id = {batch}.alert_id AND NOT {leaves_at_once('owner')}))"
    )


def leaves_at_once(alert: str = "alert") -> str:
    """Whether nothing of the alert waits: for a release, for a time in a zone, for a headline."""
    return (
        f"({alert}.spread_s = 0 AND {alert}.local_release IS NULL "
        f"AND {alert}.headline_test IS NULL)"
    )


def has_open_shard(alert_id: str) -> str:
    """Whether a shard of the alert is not fanned out yet; the index `shard_open` serves it."""
    return f"EXISTS (SELECT 1 FROM shard WHERE shard.alert_id = {alert_id} AND NOT shard.done)"


def has_open_batch(alert_id: str) -> str:
    """Whether a batch of the alert is open."""
    return f"EXISTS (SELECT 1 FROM batch WHERE batch.alert_id = {alert_id} AND {batch_is_open()})"


def count_of(state: State, batch: str = "batch") -> str:
    """Return how many deliveries stand in a state. PostgreSQL counts places from 1."""
    return f"{batch}.counts[{state + 1}]"


def sums_of_counts(batch: str = "batch") -> str:
    """Return the seven sums of a group of batches, in the order of `State`."""
    return ", ".join(f"sum({count_of(state, batch)})" for state in STATES)


def known_of(batch: str = "batch") -> str:
    """Return how many devices of a group of batches let us count what they open."""
    planned = " + ".join(count_of(state, batch) for state in STATES)
    return f"coalesce(sum({planned}) FILTER (WHERE {batch}.results), 0)"


def state_in(byte: str, states: Iterable[State]) -> str:
    """Whether a state byte says one of these states."""
    return f"{byte} & {STATE_BITS} IN ({', '.join(str(int(state)) for state in states)})"


DELIVERIES = """batch b
    CROSS JOIN LATERAL unnest(b.device_ids) WITH ORDINALITY AS d(id, o)
    CROSS JOIN LATERAL (SELECT get_byte(b.states, (d.o - 1)::int) AS byte) s"""
"""One row per delivery: the device is `d.id`, its state byte `s.byte`, its batch `b`."""

HOLDS_ANY_VERSION = f"""(s.byte & {STATE_BITS} = {int(State.ACCEPTED)}
    OR s.byte & {UNKNOWN_BIT} <> 0
    OR (:takes_over AND b.alert_id = :root
        AND {state_in("s.byte", (State.PENDING, State.RETRYING, State.CANCELLED))}))"""
"""Whether a delivery of a chain must be corrected: its device has the text or may have it.

With `:takes_over` those too whom the root `:root` of the chain did not reach.
"""


EVERY_PROVIDER = "*"
"""The provider of a hold that pauses all sending."""


def is_held(provider: str, hold: str = "h") -> str:
    """Whether a row of `hold` is about this provider, or about all of them."""
    return f"{hold}.provider IN ({provider}, '{EVERY_PROVIDER}')"


def may_go_on(alert: str = "alert") -> str:
    """Whether nobody has to decide on the alert first, as after a restored backup."""
    return f"{alert}.restored_at IS NULL"


REVISION_OF_APPS = "(SELECT coalesce(sum(revision), 0)::bigint FROM app)"
"""A number that grows with every change of any app, in the order of the commits."""


def array_literal(numbers: Iterable[int]) -> str:
    """Return numbers as PostgreSQL spells an array: a list of lists crosses as text only."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _in(column: str, states: Iterable[str]) -> str:
    return f"{column} IN ({', '.join(map(repr, states))})"
