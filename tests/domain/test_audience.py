"""The rules of an audience, one line each."""

from datetime import UTC, datetime, time, timedelta

import pytest

from service.domain.audience import (
    Audience,
    LeftOut,
    in_quiet_hours,
    wants,
    why_left_out,
)
from service.domain.people import QuietHours, Reader
from service.domain.subscription import Subscription, Urgency

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER, EARLIER = AT + timedelta(hours=1), AT - timedelta(hours=1)
QUIET, NORMAL, BREAKING = Urgency.QUIET, Urgency.NORMAL, Urgency.BREAKING
STORY = 42


def follows(topic, least=QUIET, muted_until=None):
    return Subscription(topic=topic, least_urgency=least, muted_until=muted_until)


def a_reader(begin=None, end=None, timezone="UTC"):
    hours = (
        None if begin is None else QuietHours(time.fromisoformat(begin), time.fromisoformat(end))
    )
    return Reader(id=1, timezone=timezone, quiet_hours=hours)


def of_story(urgency=NORMAL, paths=("sport/tennis",)):
    return Audience.of_story(STORY, paths, urgency, AT)


@pytest.mark.parametrize(
    ("subscriptions", "expected"),
    [
        ([], False),
        ([follows("sport/tennis")], True),
        ([follows("sport")], True),
        ([follows("sport/golf")], False),
        ([follows("sport/tennis/wimbledon")], False),
        ([follows("story/42")], True),
        ([follows("story/43")], False),
        ([follows("sport", least=NORMAL)], True),
        ([follows("sport", least=BREAKING)], False),
        ([follows("sport", least=BREAKING), follows("sport/tennis")], True),
        ([follows("sport", muted_until=LATER)], False),
        ([follows("sport", muted_until=EARLIER)], True),
        ([follows("sport", muted_until=AT)], True),
        ([follows("sport"), follows("sport/tennis", muted_until=LATER)], False),
        ([follows("sport", muted_until=LATER), follows("sport/tennis")], True),
        ([follows("sport"), follows("sport/golf", muted_until=LATER)], True),
        ([follows("sport"), follows("story/42", muted_until=LATER)], False),
        ([follows("sport"), follows("story/43", muted_until=LATER)], True),
        ([follows("story/42"), follows("sport/tennis", muted_until=LATER)], True),
        ([follows("sport"), follows("sport/tennis", least=BREAKING, muted_until=LATER)], False),
    ],
)
def test_a_reader_is_in_the_audience_of_a_story_by_what_they_follow(subscriptions, expected):
    assert wants(of_story(), a_reader(), subscriptions) is expected


@pytest.mark.parametrize(
    ("urgency", "least", "expected"),
    [(u, least, u.rank >= least.rank) for u in Urgency for least in Urgency],
)
def test_an_alert_must_be_as_urgent_as_the_reader_asks(urgency, least, expected):
    assert wants(of_story(urgency), a_reader(), [follows("sport", least)]) is expected


@pytest.mark.parametrize(
    ("begin", "end", "timezone", "expected"),
    [
        ("11:00", "13:00", "UTC", True),
        ("12:00", "13:00", "UTC", True),
        ("11:00", "12:00", "UTC", False),
        ("22:00", "07:00", "UTC", False),
        ("22:00", "12:01", "UTC", True),
        ("11:00", "01:00", "UTC", True),
        ("12:00", "12:00", "UTC", False),
        ("17:00", "18:00", "Asia/Kolkata", True),
        ("17:30", "17:31", "Asia/Kolkata", True),
        ("11:00", "13:00", "Asia/Kolkata", False),
        ("22:00", "02:00", "Pacific/Kiritimati", False),
        ("22:00", "02:01", "Pacific/Kiritimati", True),
    ],
)
def test_quiet_hours_are_the_readers_own_wall_clock(begin, end, timezone, expected):
    assert in_quiet_hours(a_reader(begin, end, timezone), AT) is expected


def test_quiet_hours_follow_the_change_of_the_clocks():
    reader = a_reader("08:00", "09:00", "Europe/Berlin")
    assert in_quiet_hours(reader, datetime(2026, 1, 10, 7, 30, tzinfo=UTC))
    assert not in_quiet_hours(reader, datetime(2026, 7, 10, 7, 30, tzinfo=UTC))
    assert in_quiet_hours(reader, datetime(2026, 7, 10, 6, 30, tzinfo=UTC))


def test_quiet_hours_exclude_unless_the_alert_is_breaking():
    asleep, followed = a_reader("00:00", "23:00"), [follows("sport")]
    assert not wants(of_story(QUIET), asleep, followed)
    assert not wants(of_story(NORMAL), asleep, followed)
    assert wants(of_story(BREAKING), asleep, followed)


def test_everyone_is_every_reader_outside_quiet_hours():
    everyone = Audience.of_everyone(STORY, NORMAL, AT)
    assert wants(everyone, a_reader(), [])
    assert wants(everyone, a_reader(), [follows("story/42", muted_until=LATER)])
    assert not wants(everyone, a_reader("00:00", "23:00"), [])


def test_topics_given_by_name_reach_the_followers_of_their_ancestors_and_not_of_the_story():
    named = Audience.of_topics(STORY, ["world/ukraine"], NORMAL, AT)
    assert wants(named, a_reader(), [follows("world")])
    assert not wants(named, a_reader(), [follows("sport")])
    assert not wants(named, a_reader(), [follows("story/42")])


def test_a_mute_of_the_story_beats_topics_given_by_name():
    named = Audience.of_topics(STORY, ["world"], NORMAL, AT)
    muted = [follows("world"), follows("story/42", muted_until=LATER)]
    assert not wants(named, a_reader(), muted)


@pytest.mark.parametrize("urgency", Urgency)
def test_an_audience_of_one_reader_is_that_reader_whatever_the_reader_asked_to_be_spared(urgency):
    asleep = a_reader("00:00", "23:59")
    muted = [follows(f"story/{STORY}", muted_until=LATER)]
    assert wants(Audience.of_reader(STORY, asleep.id, urgency, AT), asleep, muted)
    assert not wants(Audience.of_reader(STORY, 2, urgency, AT), asleep, [follows("sport/tennis")])


@pytest.mark.parametrize(
    ("languages", "alert_languages", "expected"),
    [
        ((), ["hi"], True),
        (("en",), ["hi"], False),
        (("en", "hi"), ["hi"], True),
        (("en-IN",), ["en-US"], True),
        (("pt-BR",), ["pt"], True),
        (("zh-Hant",), ["zh-Hans-CN"], True),
        (("no",), ["nb-NO"], True),
        (("de",), ["en", "de-AT"], True),
        (("de",), None, True),
    ],
)
@pytest.mark.parametrize("urgency", Urgency)
def test_an_alert_goes_to_those_who_read_one_of_its_languages(
    languages, alert_languages, expected, urgency
):
    audience = of_story(urgency)
    if alert_languages is not None:
        audience = audience.in_languages(alert_languages)
    reader = Reader(id=1, languages=languages)
    assert wants(audience, reader, [follows("sport")]) is expected
    assert why_left_out(audience, reader) is (None if expected else LeftOut.LANGUAGE)


def test_quiet_hours_are_the_reason_before_the_language():
    reader = Reader(id=1, languages=("en",), quiet_hours=QuietHours(time(0), time(23)))
    assert why_left_out(of_story().in_languages(["hi"]), reader) is LeftOut.QUIET_HOURS
    assert why_left_out(of_story(BREAKING).in_languages(["hi"]), reader) is LeftOut.LANGUAGE


def test_a_reader_who_asked_gets_the_alert_in_any_language():
    asked = Audience.of_reader(STORY, 1, NORMAL, AT).in_languages(["hi"])
    assert wants(asked, Reader(id=1, languages=("en",)), [])


@pytest.mark.parametrize(
    ("cap", "wish", "recent", "expected"),
    [
        (None, 1, 9, True),
        (0, None, 9, True),
        (0, 2, 1, True),
        (0, 2, 2, False),
        (3, None, 2, True),
        (3, None, 3, False),
        (3, 1, 1, False),
        (3, 5, 3, False),
    ],
)
def test_who_got_enough_alerts_gets_no_other_unless_it_is_breaking(cap, wish, recent, expected):
    reader = Reader(id=1, alerts_per_day=wish)
    for urgency in (QUIET, NORMAL):
        audience = of_story(urgency).capped_at(cap)
        assert wants(audience, reader, [follows("sport")], recent) is expected
        reason = None if expected else LeftOut.FREQUENCY
        assert why_left_out(audience, reader, recent) is reason
    assert wants(of_story(BREAKING).capped_at(cap), reader, [follows("sport")], recent)
