"""What alerts did, who left after them, and the figures that the sweep writes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.domain.results.alert_result import Departures, PartResult
from service.domain.subscription import Subscription
from service.store.readers import devices, receipts, subscription_groups, subscriptions
from service.store.readers.receipts import Mark
from service.store.results import alert_results, audience_days, departures, provider_samples
from tests import builders as a

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)


def an_alert(session, **values):
    story = a.a_story(session)
    return a.an_alert(session, story, **values)


def opened(session, alert, *positions, n=0):
    for position in positions:
        receipts.add_mark(session, alert.id, 0, n, position, Mark.OPENED)


def test_an_opening_counts_once_in_the_minute_in_which_its_receipt_came(session):
    created_at = datetime.now(UTC) - timedelta(minutes=3, seconds=5)
    alert = an_alert(session, created_at=created_at)
    a.a_batch(session, alert, [State.ACCEPTED] * 9)
    opened(session, alert, 1, 2, 2, 8)
    receipts.add_mark(session, alert.id, 0, 0, 3, Mark.SHOWN)
    assert alert_results.read_openings(session, alert.id) == {3: 3}
    session.execute(text("UPDATE alert SET created_at = created_at - interval '5 hours'"))
    opened(session, alert, 0, 1)
    assert alert_results.read_openings(session, alert.id) == {3: 3, 300: 1}


@pytest.fixture
def reader(session):
    return a.a_reader(session)


def departed(session, topic):
    since = NOW - timedelta(hours=1)
    return departures.departures_between(session, [topic.id], since, LATER)


def test_who_unfollows_or_mutes_is_counted_by_topic_and_only_once(session, reader):
    sport, world = a.a_topic(session, "sport"), a.a_topic(session, "world")
    subscriptions.add(session, reader.id, sport.id, Subscription(topic="sport"))
    muted = Subscription(topic="sport", muted_until=LATER)
    for _ in range(2):
        assert subscriptions.change(session, reader.id, sport.id, muted)
    for _ in range(2):
        subscriptions.remove(session, reader.id, "sport")
    assert departed(session, sport) == Departures(unfollows=1, mutes=1)
    assert departed(session, world) == Departures()
    everything = departures.departures_between(session, None, NOW - timedelta(hours=1), LATER)
    assert everything == Departures(unfollows=1, mutes=1)


def test_a_group_counts_as_its_members_would(session):
    sport = a.a_topic(session, "sport")
    rows = [a.a_reader(session) for _ in range(3)]
    for muted_until in (None, LATER, LATER):
        follows = [
            subscription_groups.Follow(
                row.token_hash, Subscription(topic="sport", muted_until=muted_until)
            )
            for row in rows
        ]
        subscription_groups.follow_all(session, follows, 100)
    pairs = [(row.token_hash, "sport") for row in rows]
    assert subscription_groups.unfollow_all(session, pairs) == [True] * 3
    assert subscription_groups.unfollow_all(session, pairs) == [None] * 3
    assert departed(session, sport) == Departures(unfollows=3, mutes=3)


def test_days_that_are_over_are_folded_without_a_change_of_their_sums(session):
    sport = a.a_topic(session, "sport")
    for hours in (0, 1, 100, 101, 102, 150):
        session.execute(
            text("INSERT INTO departure (topic_id, since, unfollows) VALUES (:t, :s, 2)"),
            {"t": sport.id, "s": NOW - timedelta(hours=hours)},
        )
    for _ in range(2):
        departures.fold_departures(session)
    sums = session.execute(text("SELECT count(*), sum(unfollows) FROM departure")).one()
    assert sums[1] == 12
    assert sums[0] <= 5
    session.execute(text("UPDATE departure SET since = since - interval '500 days'"))
    departures.fold_departures(session)
    assert session.execute(text("SELECT count(*) FROM departure")).scalar_one() == 0


def test_a_result_tells_who_opened_it_by_part_and_who_left(session):
    world = a.a_topic(session)
    alert = an_alert(session, topic_ids=[world.id], created_at=NOW - timedelta(hours=2))
    people = [a.a_reader(session, language=tag) for tag in ("hi", "en", "en", "en")]
    ids = [a.a_device(session, one).id for one in people]
    for one in people[1:]:
        a.a_follow(session, one, world)
    states = [State.ACCEPTED] * 3 + [State.BURIED]
    a.a_batch(session, alert, states, device_ids=ids, provider="apns-2")
    opened(session, alert, 0, 1)
    assert devices.remove(session, people[2].id, ids[2], NOW)
    devices.forget(session, [(ids[0], NOW)], "unregistered")
    result = alert_results.result_of(session, alert.id)
    assert result.by_app == {"apns-2": PartResult(4, 3, 0, 2, 4)}
    assert result.by_language == {"hi": PartResult(1, 1, 0, 1, 1), "en": PartResult(3, 2, 0, 1, 3)}
    assert result.by_topic == {"world": PartResult(3, 2, 0, 1, 3)}
    assert result.departures == Departures(removals=1, gone=1)
    assert not result.is_final
    assert result.usual is None


def test_a_result_is_kept_once_when_its_day_is_over(session):
    alert = an_alert(session, state="finished", settled=True, created_at=NOW - timedelta(hours=25))
    an_alert(session, state="finished", settled=True)
    a.a_batch(session, alert, [State.ACCEPTED] * 2)
    opened(session, alert, 1)
    assert [alert_results.keep_results(session) for _ in range(2)] == [1, 0]
    session.execute(text("DELETE FROM batch"))
    result = alert_results.result_of(session, alert.id)
    assert result.is_final
    assert result.total == PartResult(2, 2, 0, 1, 2)
    assert result.openings == {1500 // 60 * 60 // 1440 * 1440: 1}


def test_what_is_usual_is_the_average_of_the_days_before(session):
    world = a.a_topic(session)
    alert = an_alert(session, topic_ids=[world.id])
    a.a_batch(session, alert, [State.ACCEPTED] * 10)
    for days in (2, 4):
        session.execute(
            text("INSERT INTO departure (topic_id, since, unfollows) VALUES (:t, :s, 6)"),
            {"t": world.id, "s": alert.created_at - timedelta(days=days)},
        )
    session.execute(
        text("INSERT INTO audience_day VALUES (:day, 'apns', 100, 10, 2)"),
        {"day": (NOW - timedelta(days=2)).date()},
    )
    usual = alert_results.result_of(session, alert.id).usual
    assert usual == Departures(unfollows=3, mutes=0, removals=1, gone=0.2)


def test_the_audience_of_a_day_is_counted_by_app(session, reader):
    for number in range(5):
        a.a_device(session, reader, address=f"{number}", provider="fcm")
    yesterday = NOW.date() - timedelta(days=1)
    session.execute(
        text("INSERT INTO audience_day VALUES (:day, 'fcm', 3, 0, 0)"), {"day": yesterday}
    )
    gone = a.a_device(session, reader, address="gone", provider="fcm")
    assert devices.remove(session, reader.id, gone.id, NOW)
    for _ in range(2):
        audience_days.write_audience_day(session)
    before, today = audience_days.audience_since(session, yesterday)
    assert (before.devices, before.new) == (3, None)
    assert (today.devices, today.new, today.removals, today.gone) == (5, 3, 1, 0)


@pytest.mark.parametrize(("installed_ago", "new"), [(0, 7), (3, None)])
def test_on_an_installations_first_day_all_devices_are_new(session, installed_ago, new):
    today = NOW.date()
    installed_at = NOW - timedelta(days=installed_ago)
    session.execute(
        text(
            "INSERT INTO staff (id, email, password_hash, role, created_at) "
            "VALUES (1, :email, :hash, :role, :at)"
        ),
        {"email": "a@b.example", "hash": "-", "role": "admin", "at": installed_at},
    )
    for app, day in (("fcm", today), ("apns", today + timedelta(days=1))):
        session.execute(
            text("INSERT INTO audience_day VALUES (:day, :app, 4, 2, 1)"), {"day": day, "app": app}
        )
    rows = audience_days.audience_since(session, today)
    assert [(row.app, row.new) for row in rows] == [("fcm", new), ("apns", 7)]


def test_a_sample_says_what_was_accepted_and_what_waits(session):
    alert = an_alert(session, state="sending", created_at=NOW - timedelta(seconds=100))
    states = [State.ACCEPTED] * 4 + [State.PENDING] * 3
    a.a_batch(session, alert, states, progress=[90_000, 4], started_at=NOW)
    for _ in range(2):
        provider_samples.write_samples(session, NOW)
    samples = provider_samples.samples_since(session, NOW - timedelta(hours=1), timedelta(hours=2))
    assert [(one.app, one.accepted, one.waiting) for one in samples] == [("apns", 4, 3)]
