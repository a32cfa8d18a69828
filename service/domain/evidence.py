"""What a provider's answers to one alert add up to, and what follows from the sum.

One answer says little: an address that is refused may be dead, or we may be using the wrong
environment, topic or key. `judge` weighs answers against each other, by proportion: one acceptance
is no proof, for a newsroom always has a few development builds. It is pure and total: mypy proves
that no verdict is forgotten.

What counts, and how far it reaches:

- Evidence is kept by origin. A provider with one server for all devices is one origin. One push
  service among many speaks for itself alone.
- What is answered about an address that the provider never accepted can end only its own delivery:
  anybody may register such addresses. (Where it never accepted anything at all, they count.)
- Doubts are believed while they are a small minority. Then the device is a suspect, and it is gone
  when a later alert, at least a day after, says the same.
- Beyond that share the fault is ours: the provider, or the origin, is not used until it is cleared.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import assert_never

from service.domain.device import History
from service.domain.effect import (
    Effect,
    EndAlert,
    EndAlertAtOrigin,
    HoldOrigin,
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
    Reach,
    SenderRejected,
    TryLater,
    Verdict,
)

DOUBTS_THAT_HOLD = 20
"""Fewer doubtful addresses than this hold nothing, whatever their share is."""
FEW_DOUBTS = 3
"""So many are a small minority of any audience in which more were accepted."""
SMALL_SHARE = 0.05
"""The share, of themselves and the acceptances, up to which doubts are a small minority."""
REFUSALS_THAT_END = 100
"""So many refusals of no clear cause and no acceptance look like the alert's own fault."""
REFUSALS_THAT_DOUBT = 5
"""A device that so many alerts in a row were refused for is doubted."""
SENDER_FAULTS_THAT_HOLD = 20
PROVIDER_PAUSE = timedelta(seconds=60)
"""How long a provider is left alone that asks for a pause and gives no time."""
ORIGIN_HOLD = timedelta(seconds=60)
"""How long an origin is left alone whose refusals look like a mistake of ours."""
CREDENTIAL_PAUSE = timedelta(seconds=5)

ONE_SERVER = ""
"""The origin of every answer of a provider that has one server for all devices."""


@dataclass(slots=True)
class Tally:
    """What one origin has answered; `known`: we or an administrator named its server."""

    known: bool = True
    answers: int = 0
    accepted: int = 0
    doubts: int = 0
    refusals: int = 0
    unclear_refusals: int = 0
    sender_faults: int = 0

    @property
    def doubts_are_few(self) -> bool:
        """Whether the doubts are a small minority beside the acceptances."""
        return self._is_small_minority(self.doubts)

    @property
    def refusals_are_few(self) -> bool:
        """Whether the refusals are a small minority beside the acceptances."""
        return self._is_small_minority(self.refusals)

    def _is_small_minority(self, count: int) -> bool:
        few = max(FEW_DOUBTS, SMALL_SHARE * (self.accepted + count))
        return count < self.accepted and count <= few

    @property
    def doubts_are_too_many(self) -> bool:
        """Whether there are doubts enough to say that the fault is ours."""
        return self.doubts >= DOUBTS_THAT_HOLD and not self.doubts_are_few


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    result = Tally()
    for tally in tallies:
        result.answers += tally.answers
        result.accepted += tally.accepted
        result.doubts += tally.doubts
    return result


@dataclass(slots=True)
class Evidence:
    """What one provider has answered about one alert, as far as one process knows.

    `rate_answers`, `throttle_answers` and `longest_pause` count since the rate was last judged.
    `uses_origins`: the provider is many servers.
    """

    uses_origins: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)
    rate_answers: int = 0
    throttle_answers: int = 0
    longest_pause: timedelta = timedelta(0)

    def of(self, origin: str) -> Tally:
        """Return the origin's tally."""
        tally = self.tallies.get(origin)
        if tally is None:
            tally = self.tallies[origin] = Tally()
        return tally

    def count_acceptance(self, origin: str) -> None:
        """Count one acceptance."""
        tally = self.of(origin)
        tally.answers += 1
        tally.accepted += 1
        self.rate_answers += 1

    def count(
        self, verdict: NotAccepted, origin: str, *, counts: bool = True, known: bool = True
    ) -> None:
        """Count any other verdict.

        `counts`: what is said against the address is evidence, for the provider has accepted it
        before. `known`: we or an administrator named the server that answered, which matters for
        doubts only.
        """
        tally = self.of(origin)
        tally.answers += 1
        self.rate_answers += 1
        if isinstance(verdict, TryLater) and verdict.reach is Reach.PROVIDER:
            self.throttle_answers += 1
            self.longest_pause = max(self.longest_pause, verdict.after or PROVIDER_PAUSE)
        elif is_doubt(verdict):
            tally.known = known
            tally.doubts += 1 if counts else 0
        elif not counts:
            return
        elif isinstance(verdict, DeviceRefused):
            tally.refusals += 1
            tally.unclear_refusals += 1 if verdict.doubtful else 0
        elif isinstance(verdict, SenderRejected) and verdict.reach is Reach.DEVICE:
            tally.sender_faults += 1

    def note_record(self, origin: str, *, accepted: int, answers: int) -> None:
        """Note what the database knows of this alert, by any process: more than we do, or not."""
        tally = self.of(origin)
        tally.accepted = max(tally.accepted, accepted)
        tally.answers = max(tally.answers, answers)

    def clear_doubts(self) -> None:
        """Begin to count again: what the doubts were about has been cleared."""
        for tally in self.tallies.values():
            tally.doubts = tally.sender_faults = 0

    def clear_rate(self) -> None:
        """Begin to count again what the rate is judged by."""
        self.rate_answers = self.throttle_answers = 0
        self.longest_pause = timedelta(0)


def is_doubt(verdict: Verdict) -> bool:
    """Whether the verdict is against a device and may as well be our own mistake."""
    return isinstance(verdict, DeviceGone) and verdict.doubtful


def judge(
    evidence: Evidence, verdict: Verdict, origin: str, provider: str, *, probing: bool = False
) -> Effect | None:
    """Return what the evidence calls for now that `verdict` has been counted in it.

    `probing`: the provider is held, and this answer was to show whether the hold can end.
    """
    tally = evidence.of(origin)
    match verdict:
        case DeviceGone(doubtful=True, why=why):
            return _judge_doubts(evidence, tally, origin, provider, why, probing=probing)
        case DeviceRefused(doubtful=True, why=why):
            if tally.unclear_refusals >= REFUSALS_THAT_END and not tally.accepted:
                return EndAlertAtOrigin(why, origin) if evidence.uses_origins else EndAlert(why)
        case SenderRejected(reach=Reach.DEVICE, why=why):
            if tally.sender_faults >= SENDER_FAULTS_THAT_HOLD and (
                tally.sender_faults > tally.accepted
            ):
                return HoldProvider(why)
        case (
            Accepted()
            | TryLater()
            | DeviceGone()
            | DeviceRefused()
            | AlertRejected()
            | SenderRejected()
        ):
            pass
        case _:
            assert_never(verdict)
    return None


def _judge_doubts(
    evidence: Evidence, tally: Tally, origin: str, provider: str, why: str, *, probing: bool
) -> Effect | None:
    if not tally.doubts_are_too_many and not (probing and not tally.accepted):
        return None
    if probing and evidence.uses_origins:
        return HoldOrigin(_sentence(origin, why, tally), origin, ORIGIN_HOLD)
    at_known_servers = total(each for each in evidence.tallies.values() if each.known)
    if tally.known and not at_known_servers.accepted:
        return HoldProvider(_sentence(provider, why, at_known_servers))
    if evidence.uses_origins:
        return HoldOrigin(_sentence(origin, why, tally), origin, ORIGIN_HOLD)
    return HoldProvider(_sentence(provider, why, tally))


def _sentence(name: str, why: str, tally: Tally) -> str:
    accepted = f"accepted {tally.accepted}" if tally.accepted else "accepted none"
    return (
        f"{name} answered {why} for {tally.doubts} of {tally.answers} devices and {accepted}: "
        "check that its credentials, its topic or project and its environment (production or "
        "sandbox) are those of the app, then release it."
    )


def judge_rate(evidence: Evidence) -> Effect | None:
    """Return how a provider's whole project is to slow down, by the answers since the last look.

    Where most answers say "too many", every process pauses. A few among many acceptances are what
    a quota looks like from below: those few wait as they were told, and the rate goes down by
    their share.
    """
    if evidence.throttle_answers * 2 > evidence.rate_answers:
        return ThrottleProvider(evidence.longest_pause)
    if evidence.throttle_answers:
        return LowerRate(evidence.throttle_answers / evidence.rate_answers)
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
        case _:
            assert_never(verdict)


class Finding(Enum):
    """What is made of a refusal that may be about the device, when its batch is given back."""

    GONE = "an alert a day ago or more said the same: the device is forgotten"
    SUSPECT = "the delivery is buried, and the device is kept as a suspect"
    BURIED = "the delivery is buried, and nothing is held against the device"
    OUR_FAULT = "nothing is sent there now: the delivery waits, without a burnt attempt"


def judge_doubt(tally: Tally, history: History, *, held: bool) -> Finding:
    """Decide on doubtful evidence against a device, by what its origin has answered in all."""
    if held or tally.doubts_are_too_many:
        return Finding.OUR_FAULT
    if not tally.doubts_are_few:
        return Finding.BURIED
    return Finding.GONE if history.suspect_for_a_day else Finding.SUSPECT


def judge_refusal(tally: Tally, history: History) -> Finding:
    """Decide on a refusal that said nothing against the device: the fifth in a row does."""
    if history.refusals + 1 < REFUSALS_THAT_DOUBT or not tally.refusals_are_few:
        return Finding.BURIED
    return Finding.GONE if history.suspect_for_a_day else Finding.SUSPECT
