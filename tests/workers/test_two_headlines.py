"""An alert with two headlines: packed, decided once by the sweep, and sent to the rest."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.domain.headlines.headline_test import HeadlineTest
from service.store.alerts import alerts
from service.store.deliveries import batch_claims, batch_closing, shards
from service.store.readers import past_alerts
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context
from workers import plan, sweep

TEST = HeadlineTest(title="Floods", share=0.25, minutes=10)
READERS = 200


@pytest.fixture
def process(engine):
    return Context(engine)


@pytest.fixture
def alert(process):
    """An alert with two headlines to 200 readers with two devices each; all of it is packed."""
    with transaction(process.engine) as session:
        for _ in range(READERS):
            reader = a.a_reader(session)
            for _ in range(2):
                a.a_device(session, reader)
        row = a.an_alert(
            session,
            a.a_story(session),
            title="Rain",
            everyone=True,
            headline_test=TEST.to_json(),
        )
    pack(process, row.id)
    with transaction(process.engine) as session:
        return alerts.get(session, row.id)


def pack(process, alert_id):
    plan.plan_alert(process, alert_id)
    with transaction(process.engine) as session:
        planned = shards.planned_alert(session, alert_id)
        while shards.fan_out(session, planned, process.names):
            pass


def devices(process, condition):
    """Return (device, reader) of the batches for which this holds."""
    query = text(
        "SELECT device.id, reader_id FROM batch, unnest(device_ids) AS one(id) "
        f"JOIN device USING (id) WHERE {condition} ORDER BY 1"
    )
    with transaction(process.engine) as session:
        return [tuple(row) for row in session.execute(query)]


def end_time(process, opens=(0, 0)):
    """Let the time of the test be over: all were accepted, and so many opened each headline."""
    with transaction(process.engine) as session:
        session.execute(text("UPDATE alert SET started_at = now() - interval '10 min'"))
        session.execute(
            text(
                "UPDATE batch SET started_at = now(), finished_at = now(), counts = "
                "ARRAY[0, 0, cardinality(device_ids), 0, 0, 0, 0] WHERE in_test"
            )
        )
        for headline, opened in enumerate(opens):
            marks = (2**opened - 1).to_bytes(100, "little")
            session.execute(
                text(
                    "INSERT INTO receipt (alert_id, shard_n, n, marks) SELECT alert_id, shard_n, n,"
                    " :marks FROM batch WHERE in_test AND headline = :headline LIMIT 1"
                ),
                {"headline": headline, "marks": bytes(100) + marks},
            )


def end_test(process):
    process.messages.clear()
    sweep._choose_headlines(process)
    return [message.task for message in process.messages]


def test_sql_and_python_draw_the_same_groups_and_all_devices_of_a_reader_get_the_same(
    process, alert
):
    for headline in (0, 1):
        found = devices(process, f"headline = {headline} AND in_test")
        assert all(TEST.group_of(alert.id, reader) == headline for _, reader in found)
        assert len(found) == 2 * len({reader for _, reader in found}) > 0
    rest = devices(process, "headline IS NULL AND NOT in_test")
    assert all(TEST.group_of(alert.id, reader) is None for _, reader in rest)
    assert len(devices(process, "true")) == 2 * READERS


def test_the_rest_waits_until_the_time_is_over(process, alert):
    with transaction(process.engine) as session:
        claims = batch_claims.claim(session, alert.id, "apns", lease_s=20, limit=99)
    assert {claim.headline for claim in claims} == {0, 1}
    assert end_test(process) == []


@pytest.mark.parametrize(
    ("opens", "headline", "words"),
    [((5, 30), 1, "the second goes"), ((30, 5), 0, "the first goes"), ((9, 10), 0, "no signif")],
)
def test_the_sweep_chooses_once_and_the_rest_leaves_with_that_headline(
    process, alert, opens, headline, words
):
    end_time(process, opens)
    assert end_test(process) == ["deliver"]
    assert end_test(process) == []
    with transaction(process.engine) as session:
        rest, *_ = batch_claims.claim(session, alert.id, "apns", lease_s=20, limit=99)
        report = alerts.report(session, alert.id)
    assert rest.headline == report.headline_choice.headline == headline
    assert words in report.headline_choice.reason
    assert [each.title for each in report.headlines] == ["Rain", "Floods"]
    assert [each.group.opened for each in report.headlines] == list(opens)


def test_a_choice_that_the_rest_never_heard_of_is_carried_out_by_the_next_pass(process, alert):
    end_time(process)
    with transaction(process.engine) as session:
        session.execute(
            text("INSERT INTO headline_choice VALUES (:a, 1, 'a test')"), {"a": alert.id}
        )
    assert end_test(process) == ["deliver"]
    with transaction(process.engine) as session:
        rest, *_ = batch_claims.claim(session, alert.id, "apns", lease_s=20, limit=99)
    assert rest.headline == 1


def test_a_readers_past_alerts_show_the_headline_that_the_reader_got(process, alert):
    with transaction(process.engine) as session:
        accepted = f"{State.ACCEPTED:02x}"
        session.execute(
            text("UPDATE batch SET states = decode(repeat(:b, cardinality(device_ids)), 'hex')"),
            {"b": accepted},
        )
    for headline, title in enumerate(("Rain", "Floods")):
        device, reader = devices(process, f"headline = {headline}")[0]
        with transaction(process.engine) as session:
            now = alert.created_at + timedelta(minutes=1)
            past = past_alerts.past_alerts(session, reader, [device], now, 1)
        assert [each.title for each in past] == [title]


def test_nothing_is_chosen_while_a_shard_is_not_packed_or_after_a_stop(process, alert):
    end_time(process, (5, 30))
    with transaction(process.engine) as session:
        session.execute(text("UPDATE shard SET done = false"))
    assert end_test(process) == []
    with transaction(process.engine) as session:
        session.execute(text("UPDATE shard SET done = true"))
        session.execute(text("UPDATE alert SET state = 'stopped'"))
        batch_closing.close_open_batches(session, alert.id, State.CANCELLED)
    assert end_test(process) == []
    with transaction(process.engine) as session:
        totals = alerts.report(session, alert.id).totals
    assert totals.cancelled == len(devices(process, "NOT in_test"))


def test_a_correction_in_the_test_goes_to_all_at_once(process, alert):
    with transaction(process.engine) as session:
        session.execute(text("UPDATE alert SET state = 'stopped', settled = true"))
        batch_closing.close_open_batches(session, alert.id, State.CANCELLED)
        correction = a.an_alert(
            session,
            a.StoryRow(id=alert.story_id),
            kind="update",
            source_alert_id=alert.id,
            takes_over=True,
        )
    pack(process, correction.id)
    with transaction(process.engine) as session:
        claims = batch_claims.claim(session, correction.id, "apns", lease_s=20, limit=99)
    assert sum(len(claim.device_ids) for claim in claims) == 2 * READERS
    assert {claim.headline for claim in claims} == {None}
