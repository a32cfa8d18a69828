"""What a source may do about alerts: nothing, suggest them to the desk, or send them by itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

from service.domain.errors import Invalid
from service.domain.people import QuietHours
from service.domain.story import Story, why_not_pushable
from service.domain.subscription import Urgency
from service.domain.time_zone import canonical_name, local_time

OLDEST_NEWS = timedelta(hours=24)
"""What a sender dates further back is no news any more: it never makes an alert."""
MOST_A_DAY = 100
HOURS_OF_A_DAY = 24
LONGEST_APART_MINUTES = 24 * 60


class AlertMode(StrEnum):
    """What a new story of a source leads to."""

    NEVER = "never"
    SUGGEST = "suggest"
    SEND = "send"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """How a source's alerts are sent. Equal hours mean the whole day; they may cross midnight."""

    urgency: Urgency = Urgency.NORMAL
    most_a_day: int = 5
    minutes_apart: int = 30
    from_hour: int = 0
    until_hour: int = 0
    timezone: str = "UTC"

    def is_open(self, moment: datetime) -> bool:
        """Whether alerts may leave at this moment."""
        if self.from_hour == self.until_hour:
            return True
        window = QuietHours(time(self.from_hour), time(self.until_hour))
        return window.hold(local_time(self.timezone, moment))

    def as_values(self) -> dict[str, Any]:
        """Return the rule as its row keeps it."""
        return asdict(self) | {"urgency": self.urgency.value}


def make_alert_rule(values: Mapping[str, Any]) -> AlertRule:
    """Return a rule of values by the names of its fields; raises `Invalid` for a wrong one."""
    known = {name: values[name] for name in AlertRule.__dataclass_fields__ if name in values}
    rule = AlertRule(**known | {"urgency": Urgency(known.get("urgency", Urgency.NORMAL))})
    if not 1 <= rule.most_a_day <= MOST_A_DAY:
        raise Invalid("rule.most_a_day", f"From 1 to {MOST_A_DAY} alerts a day.")
    if not 0 <= rule.minutes_apart <= LONGEST_APART_MINUTES:
        raise Invalid("rule.minutes_apart", f"From 0 to {LONGEST_APART_MINUTES} minutes.")
    for name, hour in (("from_hour", rule.from_hour), ("until_hour", rule.until_hour)):
        if not 0 <= hour < HOURS_OF_A_DAY:
            raise Invalid(f"rule.{name}", "An hour is from 0 to 23.")
    if canonical_name(rule.timezone) is None:
        raise Invalid("rule.timezone", "There is no such time zone.")
    return rule


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertHistory:
    """What a source has sent by itself: in the last day, and last of all."""

    sent_last_day: int = 0
    last_sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendNow:
    """The alert leaves by itself as soon as its page answers."""


@dataclass(frozen=True, slots=True)
class Suggest:
    """The alert stands ready on the desk; `reason` says why it does not leave by itself."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class NoAlert:
    """The story makes no alert."""


AlertDecision = SendNow | Suggest | NoAlert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSituation:
    """Everything a decision rests on. `is_first_poll`: what was in a feed when it was added."""

    story: Story
    now: datetime
    news_date: datetime | None = None
    history: AlertHistory = AlertHistory()
    is_first_poll: bool = False
    breaking_needs_two: bool = False


def judge_alert(mode: AlertMode, rule: AlertRule, situation: AlertSituation) -> AlertDecision:
    """Say what a new story of a source leads to."""
    news_date = situation.news_date
    if mode is AlertMode.NEVER or (
        news_date is not None and news_date < situation.now - OLDEST_NEWS
    ):
        return NoAlert()
    if mode is AlertMode.SUGGEST:
        return Suggest()
    reason = _why_only_suggested(rule, situation)
    return Suggest(reason) if reason else SendNow()


def _why_only_suggested(rule: AlertRule, situation: AlertSituation) -> str:
    history, now = situation.history, situation.now
    if situation.is_first_poll:
        return "It was in the feed when the feed was added."
    if rule.urgency is Urgency.BREAKING and situation.breaking_needs_two:
        return "A breaking alert needs two editors."
    return why_not_pushable(situation.story, now) or _why_rule_waits(rule, history, now)


def _why_rule_waits(rule: AlertRule, history: AlertHistory, now: datetime) -> str:
    if not rule.is_open(now):
        return f"It is not between {rule.from_hour}:00 and {rule.until_hour}:00."
    if history.sent_last_day >= rule.most_a_day:
        return f"The source has sent its {rule.most_a_day} alerts of the day."
    apart = timedelta(minutes=rule.minutes_apart)
    if history.last_sent_at is not None and now < history.last_sent_at + apart:
        return f"The source's last alert is less than {rule.minutes_apart} minutes old."
    return ""
