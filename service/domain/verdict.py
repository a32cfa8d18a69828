"""What a provider's answer means to us: one of six verdicts, and nothing else.

The type is closed: `service.domain.delivery.next_step` matches on it and mypy proves the match
complete, so a seventh meaning cannot be forgotten anywhere.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Reach(StrEnum):
    """Whom a TryLater slows: this device alone, all devices of its origin, or the provider."""

    DEVICE = "device"
    ORIGIN = "origin"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The acceptance is only a ticket: ask about `ticket` after `after`."""

    ticket: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the push; it promises nothing about the device."""

    follow_up: FollowUp | None = None


@dataclass(frozen=True, slots=True)
class TryLater:
    """Not now. `after` is the provider's own word, None when it gave none.

    `first` is then how long its rules ask us to wait at least before the first new attempt, and
    `later` before each further one. `most_attempts` is how many its rules allow in all.
    `unknown` says that the push may have arrived: the bytes left and no answer came. `reconnect`
    asks for the next attempt on a new connection. `blameless` attempts are not counted.
    """

    why: str
    after: timedelta | None = None
    unknown: bool = False
    reconnect: bool = False
    reach: Reach = Reach.DEVICE
    blameless: bool = False
    first: timedelta | None = None
    later: timedelta | None = None
    most_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """The address is dead since `since` (None: since now); forget it unless it is newer.

    `doubtful` evidence may as well be our own mistake (a wrong environment, a wrong topic): see
    `service.domain.evidence` for when it counts.
    """

    why: str
    since: datetime | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class DeviceRefused:
    """Permanent for this delivery, and says nothing against the device: bury it.

    `doubtful` refusals may as well be our message's fault: very many of them and no acceptance end
    the alert on this provider. `unknown` says that the push may have arrived all the same.
    """

    why: str
    doubtful: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class AlertRejected:
    """Our message is at fault: this alert ends on this provider, a person is told."""

    why: str


@dataclass(frozen=True, slots=True)
class SenderRejected:
    """Our credentials or configuration are at fault: hold the provider, tell a person.

    `why` is the sentence that person reads: what is wrong and what to do. `remint` says that a
    fresh credential may cure it: the first time in a row that is tried instead of a hold. Where it
    reaches a device alone, others of its kind may share the fault, as those of one platform of a
    provider that serves several: they are buried, and the others go on. `of_address` says that an
    address of another app may bring it about too.
    """

    why: str
    remint: bool = False
    reach: Reach = Reach.PROVIDER
    of_address: bool = False


NotAccepted = TryLater | DeviceGone | DeviceRefused | AlertRejected | SenderRejected
"""Every verdict but an acceptance; each says why."""

Verdict = Accepted | NotAccepted


def limit_to_device(verdict: NotAccepted) -> NotAccepted:
    """Return what the verdict means where it can concern no delivery but the address's own.

    So are answers about addresses that were never accepted: anybody may register the address of
    another app, and it is refused in words that otherwise speak of us.
    """
    match verdict:
        case AlertRejected(why=why):
            return DeviceRefused(why)
        case SenderRejected(of_address=True, why=why):
            return TryLater(why)
        case TryLater(reach=Reach.ORIGIN):
            return replace(verdict, reach=Reach.DEVICE)
        case _:
            return verdict
