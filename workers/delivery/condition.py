"""Whether a provider's channel may send: a closed set of conditions, and every way between them.

| event, condition   | Open   | Paused    | Probing     | Held                | Ended        |
|--------------------|--------|-----------|-------------|---------------------|--------------|
| PauseAsked         | Paused | the later | Held, known | -                   | -            |
| HoldAsked          | Held   | Held      | Held        | the new one         | -            |
| AlertRefused       | Ended  | Ended     | Ended       | Ended               | -            |
| ProbeAccepted      | -      | -         | Open        | -                   | -            |
| HoldOnRecord       | Held   | Held      | -           | Held, known         | Ended, known |
| NoHoldOnRecord     | -      | -         | Open        | Open, if it was known | Ended, known |

"-" leaves the condition as it is; "known" means `on_record`. A hold that is not on record could
not be written; only this process knows of it, and it lasts until its stream ends.
"""

from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True, slots=True)
class Open:
    """Pushes may leave."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing leaves before `until`, by the monotonic clock; then it is as good as open."""

    until: float


@dataclass(frozen=True, slots=True)
class Probing:
    """One request at a time leaves, to learn whether a hold can end."""


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing leaves until a person or a probe clears the provider."""

    on_record: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The provider rejected this alert: nothing of it leaves there any more."""

    on_record: bool


Condition = Open | Paused | Probing | Held | Ended


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """The provider is to be left alone until a moment of the monotonic clock."""

    until: float


@dataclass(frozen=True, slots=True)
class HoldAsked:
    """The provider is not to be used; `on_record` once the database says so."""

    on_record: bool


@dataclass(frozen=True, slots=True)
class AlertRefused:
    """The provider refused the alert itself."""


@dataclass(frozen=True, slots=True)
class ProbeAccepted:
    """A push was accepted while the channel was probing."""


@dataclass(frozen=True, slots=True)
class HoldOnRecord:
    """A write found a hold of the provider, and took our rejection down if there was one."""


@dataclass(frozen=True, slots=True)
class NoHoldOnRecord:
    """A write found no hold of the provider, and took our rejection down if there was one."""


Event = PauseAsked | HoldAsked | AlertRefused | ProbeAccepted | HoldOnRecord | NoHoldOnRecord


def may_send(condition: Condition, now: float) -> bool:
    """Whether a push may leave at `now`, of the monotonic clock."""
    match condition:
        case Open() | Probing():
            return True
        case Paused(until=until):
            return now >= until
        case Held() | Ended():
            return False
        case _:
            assert_never(condition)


def next_condition(  # noqa: PLR0911 - one return a row of the table
    condition: Condition, event: Event
) -> Condition:
    """Return the condition after an event: the table above."""
    if isinstance(condition, Ended):
        was_written = isinstance(event, HoldOnRecord | NoHoldOnRecord)
        return Ended(on_record=True) if was_written else condition
    match event:
        case PauseAsked(until=until):
            return _paused(condition, until)
        case HoldAsked(on_record=on_record):
            return Held(on_record)
        case AlertRefused():
            return Ended(on_record=False)
        case ProbeAccepted():
            return Open() if isinstance(condition, Probing) else condition
        case HoldOnRecord():
            return condition if isinstance(condition, Probing) else Held(on_record=True)
        case NoHoldOnRecord():
            has_ended = isinstance(condition, Probing) or condition == Held(on_record=True)
            return Open() if has_ended else condition
        case _:
            assert_never(event)


def _paused(condition: Open | Paused | Probing | Held, until: float) -> Condition:
    match condition:
        case Open():
            return Paused(until)
        case Paused(until=earlier):
            return Paused(max(earlier, until))
        case Probing():
            return Held(on_record=True)
        case Held():
            return condition
        case _:
            assert_never(condition)
