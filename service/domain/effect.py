"""What follows from a verdict besides the delivery's own next state: a closed set of effects.

Each effect carries all the data that applying it takes. `service.domain.delivery.next_step` and
`service.domain.evidence` decide on effects; `workers.delivery.outcomes.apply` is the one place
that applies them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.verdict import FollowUp


@dataclass(frozen=True, slots=True)
class ForgetDevice:
    """Definite evidence: the address is dead since `since`, unless it has registered again."""

    since: datetime


@dataclass(frozen=True, slots=True)
class DoubtDevice:
    """Evidence that may be our own mistake: decide on it when the batch is given back."""

    why: str


@dataclass(frozen=True, slots=True)
class BuryDelivery:
    """Write a dead letter: nothing more is tried, and a person may replay it.

    `of_device`: it was this device that was refused, not the alert and not us.
    """

    why: str
    of_device: bool = False


@dataclass(frozen=True, slots=True)
class KeepTicket:
    """The acceptance is only a ticket: ask later what became of the push."""

    follow_up: FollowUp


@dataclass(frozen=True, slots=True)
class PauseProvider:
    """Send nothing through the provider for a while, in this process alone."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class ThrottleProvider:
    """Send nothing through the provider for a while, in every process, then go on more slowly."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class PauseOrigin:
    """Send nothing to this one origin of the provider for a while."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class LowerRate:
    """Lower the provider's rate by the share of pushes that it refused."""

    share: float


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Send what follows on a new connection."""


@dataclass(frozen=True, slots=True)
class MintCredential:
    """Try a new credential; where that was tried lately, hold the provider, saying `why`."""

    why: str


@dataclass(frozen=True, slots=True)
class HoldProvider:
    """Stop using the provider, for every alert, until a person or a probe clears it."""

    why: str


@dataclass(frozen=True, slots=True)
class HoldOrigin:
    """Send nothing to this one origin of the provider for a while: its refusals look like ours."""

    why: str
    origin: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class EndAlert:
    """End this alert on this provider."""

    why: str


@dataclass(frozen=True, slots=True)
class EndAlertAtOrigin:
    """End this alert at one origin of the provider."""

    why: str
    origin: str


Effect = (
    ForgetDevice
    | DoubtDevice
    | BuryDelivery
    | KeepTicket
    | PauseProvider
    | ThrottleProvider
    | PauseOrigin
    | LowerRate
    | Reconnect
    | MintCredential
    | HoldProvider
    | HoldOrigin
    | EndAlert
    | EndAlertAtOrigin
)
