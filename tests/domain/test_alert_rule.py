"""What a source's new story leads to, as a table; and when a feed is asked again."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.errors import Invalid
from service.domain.sources.alert_rule import (
    AlertHistory,
    AlertMode,
    AlertRule,
    AlertSituation,
    NoAlert,
    SendNow,
    Suggest,
    judge_alert,
    make_alert_rule,
)
from service.domain.sources.feed_schedule import PollAnswer, next_wait
from service.domain.story import Story, StoryState, StoryText
from service.domain.subscription import Urgency

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STORY = Story(
    id=1,
    slug="s",
    version=1,
    state=StoryState.PUBLISHED,
    text=StoryText(headline="h", body="b"),
    source_uri=None,
    created_at=NOON,
    updated_at=NOON,
)


def judge(mode=AlertMode.SEND, rule=None, **members):
    situation = AlertSituation(**{"story": STORY, "now": NOON} | members)
    return judge_alert(mode, rule or AlertRule(), situation)


def test_the_mode_says_what_a_new_story_leads_to():
    assert [judge(mode) for mode in AlertMode] == [NoAlert(), Suggest(), SendNow()]


def test_old_news_makes_no_alert():
    assert judge(news_date=NOON - timedelta(hours=25)) == NoAlert()
    assert judge(news_date=NOON - timedelta(hours=23)) == SendNow()


@pytest.mark.parametrize(
    ("rule", "members", "reason"),
    [
        ({}, {"is_first_poll": True}, "when the feed was added"),
        ({"urgency": Urgency.BREAKING}, {"breaking_needs_two": True}, "two editors"),
        ({"most_a_day": 2}, {"history": AlertHistory(sent_last_day=2)}, "2 alerts of the day"),
        (
            {"minutes_apart": 30},
            {"history": AlertHistory(last_sent_at=NOON - timedelta(minutes=29))},
            "less than 30 minutes",
        ),
        ({"from_hour": 13, "until_hour": 20}, {}, "between 13:00 and 20:00"),
        ({"from_hour": 22, "until_hour": 7}, {}, "between 22:00 and 7:00"),
        ({"from_hour": 7, "until_hour": 12, "timezone": "Asia/Tokyo"}, {}, "between"),
    ],
)
def test_what_a_rule_holds_back_is_suggested_with_the_reason(rule, members, reason):
    decision = judge(rule=AlertRule(**rule), **members)
    assert isinstance(decision, Suggest)
    assert reason in decision.reason


@pytest.mark.parametrize("hours", [(0, 0), (11, 13), (22, 13)])
def test_an_alert_leaves_between_its_hours(hours):
    assert judge(rule=AlertRule(from_hour=hours[0], until_hour=hours[1])) == SendNow()


@pytest.mark.parametrize(
    "values",
    [{"most_a_day": 0}, {"minutes_apart": -1}, {"from_hour": 24}, {"timezone": "Mars/Base"}],
)
def test_a_rule_that_makes_no_sense_is_refused(values):
    with pytest.raises(Invalid):
        make_alert_rule(values)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (PollAnswer(), 300),
        (PollAnswer(minutes_between_polls=30), 1800),
        (PollAnswer(minutes_between_polls=1440), 3600),
        (PollAnswer(has_hub=True), 3600),
        (PollAnswer(retry_after_s=7200), 7200),
        (PollAnswer(failures=1), 600),
        (PollAnswer(failures=4), 4800),
        (PollAnswer(failures=1, retry_after_s=3000), 3000),
        (PollAnswer(failures=500), 86_400),
    ],
)
def test_the_next_poll_comes_when_it_is_worth_it(answer, seconds):
    assert next_wait(answer) == seconds
