"""Breaking alerts go first: what another alert's stream is told of them, on real PostgreSQL."""

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.store.deliveries import batch_claims, precedence
from service.store.deliveries.precedence import Precedence
from service.store.operations import holds
from service.store.session import transaction
from tests import builders as a

NOTHING = Precedence()


@pytest.fixture
def breaking(engine):
    """A running breaking alert with one open batch for FCM."""
    with transaction(engine) as session:
        row = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON, urgency=2)
        a.a_batch(session, row, [State.PENDING] * 3, provider="fcm")
        return row.id


def read(engine, alert_id=0, providers=("apns", "fcm")):
    with transaction(engine) as session:
        return precedence.read_precedence(session, alert_id, providers, lease_s=20)


def claim(engine, alert_id):
    with transaction(engine) as session:
        return batch_claims.claim(session, alert_id, "fcm", lease_s=20)


def do(engine, statement):
    with transaction(engine) as session:
        session.execute(text(statement))


def test_a_breaking_alert_with_a_batch_to_claim_waits_for_help(engine, breaking):
    assert read(engine) == Precedence(waiting_alert=breaking, is_running=False)
    assert read(engine, breaking) == NOTHING


def test_one_whose_batches_are_all_claimed_wants_room_for_a_moment(engine, breaking):
    claim(engine, breaking)
    assert read(engine) == Precedence(waiting_alert=None, is_running=True)
    do(engine, "UPDATE batch SET started_at = now() - interval '3 s'")
    assert read(engine) == NOTHING


def test_a_batch_whose_holder_is_silent_keeps_nobody(engine, breaking):
    claim(engine, breaking)
    do(engine, "UPDATE batch SET claimable_at = claimable_at - interval '2 s'")
    assert read(engine) == NOTHING


def test_one_with_shards_to_pack_waits_for_help(engine, breaking):
    claim(engine, breaking)
    do(engine, f"INSERT INTO shard (alert_id, n, lo, hi, done) VALUES ({breaking}, 1, 0, 9, false)")
    assert read(engine).waiting_alert == breaking


def test_what_these_providers_cannot_push_keeps_nobody(engine, breaking):
    assert read(engine, providers=["apns"]) == NOTHING
    with transaction(engine) as session:
        holds.hold(session, "fcm", "not today", "a person")
    assert read(engine) == NOTHING


def test_a_provider_that_rejected_the_alert_keeps_nobody(engine, breaking):
    do(engine, "UPDATE alert SET rejected_by = '{fcm}'")
    assert read(engine) == NOTHING


@pytest.mark.parametrize("state", ["finished", "stopped", "expired"])
def test_a_breaking_alert_that_is_over_keeps_nobody(engine, breaking, state):
    claim(engine, breaking)
    do(engine, f"UPDATE alert SET state = '{state}'")
    assert read(engine) == NOTHING


def test_normal_alerts_keep_nobody(engine, breaking):
    do(engine, "UPDATE alert SET urgency = 1")
    assert read(engine) == NOTHING
