"""The one place where effects become deeds: `apply`.

What a deed is depends on what it is done to: `ChannelOutcome` and `PushOutcome` in `outcomes` for a
stream, `TicketOutcome` in `workers.upkeep.follow_up` for an acceptance that was only a ticket.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from service.domain.effect import (
    BuryDelivery,
    DoubtDevice,
    Effect,
    EndAlert,
    EndAlertAtOrigin,
    ForgetDevice,
    HoldOrigin,
    HoldProvider,
    KeepTicket,
    LowerRate,
    MintCredential,
    PauseOrigin,
    PauseProvider,
    Reconnect,
    ThrottleProvider,
)
from service.domain.verdict import FollowUp


class Outcome:
    """What effects do to something. Here: nothing; each kind overrides what concerns it."""

    __slots__ = ()

    def forget_device(self, since: datetime) -> None:
        """Forget the device, unless it has registered since."""

    def doubt_device(self, why: str) -> None:
        """Keep the evidence until the batch is given back."""

    def bury(self, why: str, *, of_device: bool) -> None:
        """Write a dead letter; `of_device`: the device was refused, not the alert and not us."""

    def keep_ticket(self, follow_up: FollowUp) -> None:
        """Ask later what became of the push."""

    def pause_provider(self, duration: timedelta) -> None:
        """Send nothing through the provider for a while, in this process."""

    def throttle_provider(self, duration: timedelta) -> None:
        """Send nothing through the provider for a while, in every process."""

    def pause_origin(self, duration: timedelta) -> None:
        """Send nothing to the origin for a while."""

    def lower_rate(self, share: float) -> None:
        """Lower the provider's rate by a share."""

    def reconnect(self) -> None:
        """Send what follows on a new connection."""

    def mint_credential(self, why: str) -> None:
        """Try a new credential, else hold the provider."""

    def hold_provider(self, why: str) -> None:
        """Stop using the provider."""

    def hold_origin(self, why: str, origin: str, duration: timedelta) -> None:
        """Stop using one origin of the provider for a while."""

    def end_alert(self, why: str) -> None:
        """End the alert on the provider."""

    def end_alert_at_origin(self, why: str, origin: str) -> None:
        """End the alert at one origin of the provider."""


def apply(effects: Iterable[Effect], outcome: Outcome) -> None:
    """Apply every effect."""
    for effect in effects:
        _apply_one(effect, outcome)


def _apply_one(effect: Effect, outcome: Outcome) -> None:  # noqa: C901, PLR0912 - a case an effect
    match effect:
        case ForgetDevice(since=since):
            outcome.forget_device(since)
        case DoubtDevice(why=why):
            outcome.doubt_device(why)
        case BuryDelivery(why=why, of_device=of_device):
            outcome.bury(why, of_device=of_device)
        case KeepTicket(follow_up=follow_up):
            outcome.keep_ticket(follow_up)
        case PauseProvider(duration=duration):
            outcome.pause_provider(duration)
        case ThrottleProvider(duration=duration):
            outcome.throttle_provider(duration)
        case PauseOrigin(duration=duration):
            outcome.pause_origin(duration)
        case LowerRate(share=share):
            outcome.lower_rate(share)
        case Reconnect():
            outcome.reconnect()
        case MintCredential(why=why):
            outcome.mint_credential(why)
        case HoldProvider(why=why):
            outcome.hold_provider(why)
        case HoldOrigin(why=why, origin=origin, duration=duration):
            outcome.hold_origin(why, origin, duration)
        case EndAlert(why=why):
            outcome.end_alert(why)
        case EndAlertAtOrigin(why=why, origin=origin):
            outcome.end_alert_at_origin(why, origin)
        case _:
            assert_never(effect)
