"""What a verdict means to a developer who has pushed once to one address, and what to do."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, assert_never

from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, what it means, and what to do now; `tone` is how well that is."""

    tone: Literal["good", "wait", "bad"]
    title: str
    meaning: str
    advice: str


def explain_verdict(verdict: Verdict) -> Explanation:
    """Return the verdict in words. Total: a new verdict does not pass the type check."""
    match verdict:
        case Accepted():
            return _explain_acceptance(verdict)
        case TryLater():
            return _explain_delay(verdict)
        case DeviceGone():
            return _explain_address(verdict)
        case DeviceRefused(why=why, unknown=unknown):
            return Explanation(
                "wait" if unknown else "bad",
                "The push was refused for this address.",
                _sentence(why),
                "Look whether the address is whole and was copied from this app. The device stays "
                "registered; an alert would list it under Given up.",
            )
        case AlertRejected(why=why):
            return Explanation(
                "bad",
                "The provider refused the message itself.",
                _sentence(why),
                "The device is not at fault, and no setting is. Tell those who maintain this "
                "program what the answer says.",
            )
        case SenderRejected(why=why):
            return Explanation(
                "bad",
                "The provider does not accept the app's credentials or options.",
                _sentence(why),
                "Correct them on the app's page, where a setting such as APNS_TOPIC is called "
                "topic. An alert that got this answer would hold the app.",
            )
        case _:
            assert_never(verdict)


def _explain_acceptance(verdict: Accepted) -> Explanation:
    if verdict.follow_up is not None:
        return Explanation(
            "good",
            "The provider took the push, and gave a ticket for it.",
            "Its credentials are right. Whether Apple or Google takes the push is known about "
            "15 minutes later; alerts ask for that by themselves.",
            "It should be on the screen within seconds. If it is not, look on the device.",
        )
    return Explanation(
        "good",
        "The provider took the push.",
        "The app and its credentials are right, and the address is alive.",
        "It should be on the screen within seconds. If it is not, look on the device: are "
        "notifications allowed, is it online, does the app show what it gets?",
    )


def _explain_address(verdict: DeviceGone) -> Explanation:
    if verdict.doubtful:
        return Explanation(
            "bad",
            "The provider does not know this address in this app.",
            _sentence(verdict.why),
            "Compare the app's options with the build on the device: the same bundle id or "
            "project, and the sandbox for a development build. Then take a new address from the "
            "device. One such answer makes no alert forget a device.",
        )
    return Explanation(
        "bad",
        "This address is dead.",
        _sentence(verdict.why),
        "Let the device ask for a new address and register that. An alert that got this answer "
        "would forget the device.",
    )


def _explain_delay(verdict: TryLater) -> Explanation:
    if verdict.unknown:
        title = "No answer came, so the push may have arrived or not."
        advice = "Look on the device, then try again. Alerts try again by themselves."
    else:
        title = "The provider does not take the push now."
        advice = "Try again in a moment. Alerts try again by themselves until their deadline."
    if verdict.after:
        advice = f"It asks to wait {_seconds(verdict.after)}. {advice}"
    return Explanation("wait", title, _sentence(verdict.why), advice)


def _seconds(wait: timedelta) -> str:
    seconds = int(wait.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"  # noqa: PLR2004 - two minutes


def _sentence(why: str) -> str:
    """Return the reason as a sentence; reasons begin small unless they begin with a name."""
    text = why.strip().rstrip(".") or "It gives no reason"
    return f"{text[:1].upper()}{text[1:]}."
