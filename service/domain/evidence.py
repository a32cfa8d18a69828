"""What a provider's answers to one alert add up to, and what follows from the sum.

One answer says little: an address that is refused may be dead, or we may be using the wrong
environment, topic or key. `judge` weighs answers against each other. It is pure and total: mypy
proves that no verdict is forgotten.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import assert_never

from service.domain.effect import (
    Effect,
    EndAlert,
    HoldProvider,
    LowerRate,
    PauseProvider,
    ThrottleProvider,
)
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    NotAccepted,
    Scope,
    SenderRejected,
    TryLater,
    Verdict,
)

DOUBTS_THAT_HOLD = 20
"""So many doubtful addresses and no acceptance look like a mistake of ours."""
REFUSALS_THAT_END = 100
"""So many refusals of no clear cause and no acceptance look like the alert's own fault."""
PROVIDER_PAUSE = timedelta(seconds=60)
"""How long a provider is left alone that asks for a pause and gives no time."""
CREDENTIAL_PAUSE = timedelta(seconds=5)

ONE_SERVER = ""
"""The origin of every answer of a provider that has one server for all devices."""


@dataclass(slots=True)
class Evidence:
    """What one provider has answered about one alert, as far as one process knows.

    `accepted` counts acceptances of this stream; `accepted_on_record` says that the database knows
    of an acceptance, by any process. `origins` are the origins that accepted something. `answers`,
    `throttled` and `longest_pause` count since the rate was last judged.
    """

    accepted: int = 0
    accepted_on_record: bool = False
    origins: set[str] = field(default_factory=set)
    doubts: int = 0
    refusals: int = 0
    answers: int = 0
    throttled: int = 0
    longest_pause: timedelta = timedelta(0)

    @property
    def any_accepted(self) -> bool:
        """Whether the provider is known to have accepted anything of the alert."""
        return self.accepted > 0 or self.accepted_on_record

    def count_acceptance(self, origin: str) -> None:
        """Count one acceptance."""
        self.answers += 1
        self.accepted += 1
        self.origins.add(origin)

    def count(self, verdict: NotAccepted, *, known_server: bool) -> None:
        """Count any other verdict.

        `known_server`: we or an administrator named the server that answered. Doubts of any other
        server say nothing about the provider; its owner could run many and make them agree.
        """
        self.answers += 1
        if isinstance(verdict, TryLater) and verdict.scope is Scope.PROVIDER:
            self.throttled += 1
            self.longest_pause = max(self.longest_pause, verdict.after or PROVIDER_PAUSE)
        elif is_doubt(verdict) and known_server:
            self.doubts += 1
        elif isinstance(verdict, DeviceRefused) and verdict.doubtful:
            self.refusals += 1

    def note_record(self, *, accepted: bool) -> None:
        """Note whether the database knows of an acceptance."""
        self.accepted_on_record = accepted

    def clear_doubts(self) -> None:
        """Begin to count doubts again: what they were about has been cleared."""
        self.doubts = 0

    def clear_rate(self) -> None:
        """Begin to count again what the rate is judged by."""
        self.answers = self.throttled = 0
        self.longest_pause = timedelta(0)


def is_doubt(verdict: Verdict) -> bool:
    """Whether the verdict is against a device and may as well be our own mistake."""
    return isinstance(verdict, DeviceGone) and verdict.doubtful


def judge(evidence: Evidence, verdict: Verdict, provider: str) -> Effect | None:
    """Return what the evidence calls for now that `verdict` has been counted in it."""
    match verdict:
        case DeviceGone(doubtful=True, why=why):
            if evidence.doubts >= DOUBTS_THAT_HOLD and not evidence.any_accepted:
                return HoldProvider(_doubts_sentence(provider, why, evidence.doubts))
        case DeviceRefused(doubtful=True, why=why):
            if evidence.refusals >= REFUSALS_THAT_END and not evidence.any_accepted:
                return EndAlert(why)
        case (
            Accepted()
            | TryLater()
            | DeviceGone()
            | DeviceRefused()
            | AlertRejected()
            | SenderRejected()
        ):
            pass
        case _ as never:
            assert_never(never)
    return None


def _doubts_sentence(provider: str, why: str, doubts: int) -> str:
    return (
        f"{provider} answered {why} for {doubts} devices and accepted none: check that its "
        "credentials, its topic or project and its environment (production or sandbox) are those "
        "of the app, then release it."
    )


def judge_rate(evidence: Evidence) -> Effect | None:
    """Return how a provider's whole project is to slow down, by the answers since the last look.

    Where most answers say "too many", every process pauses. A few among many acceptances are what
    a quota looks like from below: those few wait as they were told, and the rate goes down by
    their share.
    """
    if evidence.throttled * 2 > evidence.answers:
        return ThrottleProvider(evidence.longest_pause)
    if evidence.throttled:
        return LowerRate(evidence.throttled / evidence.answers)
    return None


def judge_missing_credential(verdict: Verdict) -> Effect:
    """Return what follows when no credential can be had; it costs no delivery an attempt."""
    match verdict:
        case TryLater(after=after):
            return PauseProvider(after or CREDENTIAL_PAUSE)
        case SenderRejected(why=why):
            return HoldProvider(why)
        case Accepted() | DeviceGone() | DeviceRefused() | AlertRejected():
            return HoldProvider("No credential could be had; run `newszop doctor`.")
        case _ as never:
            assert_never(never)


class Finding(Enum):
    """What is made of doubtful evidence against a device when its batch is given back."""

    BELIEVED = "the device is gone"
    OUR_FAULT = "the provider is held: the delivery waits, without a burnt attempt"
    SUSPECT = "the delivery is buried, and the device is kept as a suspect"


def judge_doubt(evidence: Evidence, origin: str, *, held: bool) -> Finding:
    """Decide on doubtful evidence that came from `origin`.

    It is believed beside an acceptance of the same provider and alert. Where a provider is many
    servers, the very one must have accepted something in this stream: our key may be wrong for one
    of them alone.
    """
    if evidence.any_accepted:
        believed = origin == ONE_SERVER or origin in evidence.origins
        return Finding.BELIEVED if believed else Finding.SUSPECT
    return Finding.OUR_FAULT if held else Finding.SUSPECT
