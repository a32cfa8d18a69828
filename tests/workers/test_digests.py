"""Digests: what quiet hours kept away, as one push at their end, with a clock that is given."""

import itertools
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import text

from service.domain.alert import Kind
from service.domain.pace.digest import LATEST, SLOT, Window, is_due, window_at
from service.domain.people import QuietHours, Reader
from service.store.alerts import alerts
from service.store.deliveries import batch_claims, digests, shards
from service.store.readers import missed_alerts
from service.store.schema import ID_LIMIT
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context, Settings
from workers import plan
from workers.delivery.claiming import Claiming
from workers.delivery.clock import Clock
from workers.delivery.outgoing import digest_content, outgoing

NOW = datetime.now(UTC)
END = datetime.fromtimestamp((NOW.timestamp() // 300 + 12) * 300, UTC)
"""When quiet hours end: in about an hour, at the end of a window."""
NIGHT = {"quiet_from": (END - timedelta(hours=3)).time(), "quiet_to": END.time(), "digest": True}
AFTER = END + timedelta(minutes=1)


@pytest.fixture
def process(engine):
    return Context(engine, Settings())


@pytest.fixture
def sport(session):
    topic = a.a_topic(session, "sport")
    session.commit()
    return topic


@pytest.fixture
def sleeper(session, sport):
    """Make a reader with a phone who follows sport, is in quiet hours and wants digests."""

    def make(**given):
        reader = a.a_reader(session, **NIGHT | given)
        device = a.a_device(session, reader, provider="apns")
        a.a_follow(session, reader, sport)
        session.commit()
        return reader, device

    return make


@pytest.fixture
def send(engine, process, session):
    """Send an alert to the followers of sport; returns it."""

    def send(headline="Goal", story=None, **given):
        story = story or {}
        with transaction(engine) as own:
            row = a.a_story(own, headline=headline, topics=["sport"], **story)
            alert = a.an_alert(own, row, **given)
            alert.expires_at = alert.created_at + timedelta(hours=1)
        plan.plan_alert(process, alert.id)
        session.expire_all()
        return alert

    return send


@pytest.fixture
def pack(engine, process):
    """Begin the digest that is due at a moment and pack it; returns its alert, None without one."""

    def pack(now=AFTER):
        with transaction(engine) as own:
            alert_id = digests.begin_digest(own, now)
        if alert_id is None:
            return None
        plan.plan_alert(process, alert_id)
        with transaction(engine) as own:
            planned = shards.planned_alert(own, alert_id)
            while shards.fan_out(own, planned, process.names):
                pass
            assert alerts.get(own, alert_id).kind is Kind.DIGEST
        return alert_id

    return pack


@pytest.fixture
def digest(engine, pack):
    """Pack a digest; returns what is told by the devices of each batch, None where none is due."""

    def digest(now=AFTER):
        alert_id = pack(now)
        if alert_id is None:
            return None
        with transaction(engine) as own:
            claims = batch_claims.claim(own, alert_id, "apns", lease_s=20, limit=99)
            return {tuple(one.device_ids): one.missed for one in claims}

    return digest


def test_what_quiet_hours_kept_away_comes_once_at_their_end(sleeper, send, digest):
    _, device = sleeper()
    first, second = send("Goal"), send("Second goal")
    assert digest(END - SLOT) is None
    assert digest() == {(device.id,): [second.id, first.id]}
    assert digest() is None
    send("Third goal")
    assert digest(AFTER + timedelta(minutes=30)) is None


def test_who_did_not_ask_or_missed_nothing_gets_none(sleeper, send, digest, session):
    sleeper(digest=False)
    send()
    assert digest() is None
    reader, _ = sleeper()
    assert digest(AFTER + SLOT) is None
    assert missed_alerts.missed_by(session, Reader(id=reader.id), AFTER) == []


def test_those_who_missed_the_same_are_packed_together_and_the_newest_ten_are_told(
    sleeper, send, digest, session
):
    devices = {sleeper()[1].id for _ in range(3)}
    early = send("Only for some")
    _, late = sleeper()
    sent = [send(f"Goal {n}").id for n in range(10)]
    batches = {frozenset(ids): missed for ids, missed in digest().items()}
    assert early.id not in sent
    assert batches == {frozenset(devices | {late.id}): sent[::-1]}


def test_what_holds_no_more_or_is_not_for_the_reader_any_more_is_left_out(
    sleeper, send, digest, session
):
    _, device = sleeper(languages=["en"], reads=["en"])
    kept = send("Kept")
    retracted = send("Retracted")
    withdrawn = send("Withdrawn")
    send("In Hindi", {"language": "hi"})
    muted = send("Muted")
    session.execute(
        text("UPDATE story SET state = 'retracted' WHERE id = :id"), {"id": retracted.story_id}
    )
    story = session.get(a.StoryRow, withdrawn.story_id)
    a.an_alert(session, story, kind="withdrawal", source_alert_id=withdrawn.id)
    own_topic = a.a_topic(session, f"story/{muted.story_id}", id=muted.story_id)
    until = AFTER + timedelta(days=1)
    a.a_follow(session, session.get(a.ReaderRow, device.reader_id), own_topic, muted_until=until)
    session.commit()
    assert digest() == {(device.id,): [kept.id]}


def test_who_unfollowed_everything_meanwhile_gets_none(sleeper, send, digest, session):
    sleeper()
    send()
    session.execute(text("DELETE FROM subscription"))
    session.commit()
    assert digest() == {}


def test_a_second_digest_comes_no_sooner_than_twelve_hours_after_the_first(
    sleeper, send, digest, session
):
    reader, device = sleeper()
    send()
    assert digest() is not None
    later = END + timedelta(hours=2)
    session.execute(
        text("UPDATE reader SET quiet_to = :to WHERE id = :id"),
        {"to": later.time(), "id": reader.id},
    )
    session.commit()
    assert digest(later + timedelta(minutes=1)) is None
    session.execute(text("UPDATE last_digest SET sent_at = sent_at - interval '11 hours'"))
    session.execute(text("UPDATE digest SET end_at = end_at - interval '1 hour'"))
    session.commit()
    assert list(digest(later + timedelta(minutes=1))) == [(device.id,)]


def test_it_says_how_many_there_were_and_their_words_of_now(engine, sleeper, send, digest, session):
    sleeper()
    first = send("Old words", locales={"hi": {"title": "पुराना", "body": ""}})
    send("Corrected since")
    story = session.get(a.StoryRow, first.story_id)
    values = {"kind": "update", "source_alert_id": first.id, "started_at": datetime.now(UTC)}
    a.an_alert(session, story, title="New words", body="", **values)
    session.execute(
        text(
            "UPDATE story SET state = 'corrected', headline = 'Right', updated_at = now() "
            "WHERE headline = 'Corrected since'"
        )
    )
    session.commit()
    ((_, missed),) = digest().items()
    with transaction(engine) as own:
        alert_id = own.execute(text("SELECT id FROM alert WHERE kind = 'digest'")).scalar_one()
        content = outgoing(own, Settings(), alert_id).content
        content = digest_content(content, missed_alerts.missed_alerts(own, missed))
    assert content.url == "https://news.example/me/missed"
    assert content.words[""].title == "2 alerts while it was quiet"
    assert content.words[""].body == "Right\nNew words"
    assert content.words["de"].title == "2 Meldungen während Ihrer Ruhezeit"


@pytest.mark.parametrize("holds", [True, False])
def test_a_batch_is_claimed_with_the_words_of_now_or_cancelled(
    engine, process, sleeper, send, pack, session, holds
):
    sleeper()
    send("Goal")
    alert_id = pack()
    if not holds:
        session.execute(text("UPDATE story SET state = 'retracted'"))
        session.commit()
    with transaction(engine) as own:
        alert, clock = outgoing(own, Settings(), alert_id), Clock.of(own)
    claiming = Claiming(process, alert_id, alert, clock, builder=None, reader=None)
    claim = claiming.claim_batch("apns")
    assert [target.position for target in claim.targets] == ([0] if holds else [])
    assert claim.batch.finished is not holds
    assert (claim.content and claim.content.words[""].body) == ("Goal" if holds else None)


def test_sql_and_python_find_the_same_readers_for_a_window(session):
    ends = [time(hour, minute) for hour in range(24) for minute in (0, 4, 5, 30)]
    zones = ("UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin")
    readers = {}
    for zone, end, digest in itertools.product(zones, ends, (True, True, True, False)):
        begin = time((end.hour + 15) % 24, 30) if len(readers) % 9 else end
        row = {"timezone": zone, "quiet_from": begin, "quiet_to": end, "digest": digest}
        reader_id = a.a_reader(session, **row).id
        hours = QuietHours(begin, end)
        readers[reader_id] = Reader(id=1, timezone=zone, quiet_hours=hours, digest=digest)
    skipped = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 to 03:00 in Berlin is not there
    for end in (
        skipped,
        datetime(2026, 5, 1, tzinfo=UTC),
        datetime(2026, 5, 1, 18, 30, tzinfo=UTC),
    ):
        for length in (SLOT, timedelta(hours=3)):
            window = Window(end - length, end)
            values = digests._due_values(window, zones, 0, ID_LIMIT)
            rows = session.execute(digests._READERS, values)
            expected = {key for key, reader in readers.items() if is_due(reader, window)}
            assert {row.id for row in rows} == expected
            assert expected


def test_windows_follow_each_other_and_do_not_reach_back_far():
    now = datetime(2026, 5, 1, 7, 0, 29, tzinfo=UTC)
    seven = now.replace(second=0)
    first = window_at(now, None)
    assert first == Window(seven - 2 * SLOT, seven - SLOT)
    assert window_at(now + timedelta(seconds=1), first.end) == Window(seven - SLOT, seven)
    assert window_at(now, first.end) is None
    late = window_at(now + timedelta(days=1), first.end)
    assert late == Window(late.end - LATEST, late.end)
