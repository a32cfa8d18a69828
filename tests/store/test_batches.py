"""The rules of batches on a real PostgreSQL: leases, fencing, retries, ends."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from service.domain.alert import AlertState
from service.domain.delivery import State
from service.store.alerts import alert_transitions
from service.store.deliveries import batch_claims, batch_closing, batch_writes, dead_letters
from service.store.deliveries.batch_writes import BatchWrite, LeaseChange, WriteTerms
from service.store.session import transaction
from tests import builders as a

LEASE = {"lease_s": 20.0}


@pytest.fixture
def alert(engine):
    """A running alert with two batches of three devices."""
    with transaction(engine) as session:
        row = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON)
        for n in range(2):
            session.execute(
                text(
                    "INSERT INTO batch (alert_id, shard_n, n, provider, device_ids, states, counts)"
                    " VALUES (:a, 0, :n, 'fcm', '{1,2,3}', :states, '{3,0,0,0,0,0,0}')"
                ),
                {"a": row.id, "n": n, "states": bytes(3)},
            )
        return row.id


def claim(engine, alert_id, **given):
    with transaction(engine) as session:
        return batch_claims.claim(session, alert_id, "fcm", **(LEASE | given))


def write(engine, alert_id, claimed, states, fate=LeaseChange.KEEP, **given):
    wanted = BatchWrite(claimed.shard_n, claimed.n, claimed.token, bytes(states), fate, **given)
    with transaction(engine) as session:
        return batch_writes.write(session, alert_id, [wanted], WriteTerms(**LEASE))


def row(engine, n=0):
    with transaction(engine) as session:
        return session.execute(text("SELECT * FROM batch WHERE n = :n"), {"n": n}).one()


def end_lease(engine):
    with transaction(engine) as session:
        session.execute(text("UPDATE batch SET claimable_at = now() WHERE lease_token IS NOT NULL"))


def test_a_claimed_batch_is_nobody_elses_until_its_lease_ends(engine, alert):
    first, second = claim(engine, alert)[0], claim(engine, alert)[0]
    assert (first.n, second.n) == (0, 1)
    assert claim(engine, alert) == []
    end_lease(engine)
    assert claim(engine, alert)[0].n == 0


def test_a_holder_whose_lease_was_taken_over_writes_nothing(engine, alert):
    late = claim(engine, alert)[0]
    claim(engine, alert)
    end_lease(engine)
    heir = claim(engine, alert)[0]
    assert heir.n == late.n
    write(engine, alert, heir, [2, 2, 2])
    assert write(engine, alert, late, [0, 0, 0]).batches == frozenset()
    assert bytes(row(engine).states) == bytes([2, 2, 2])


def test_counts_are_derived_from_the_states_at_every_write(engine, alert):
    held = claim(engine, alert)[0]
    result = write(engine, alert, held, [2 | 16, 3, 1 | 8], progress=(40, 1))
    assert result.batches == {(0, 0)}
    assert row(engine).counts == [0, 1, 1, 1, 0, 0, 0]
    assert row(engine).progress == [40, 1]


def test_a_keep_renews_the_lease_and_a_release_gives_it_back(engine, alert):
    held = claim(engine, alert, lease_s=0.0)[0]
    write(engine, alert, held, [0, 0, 0])
    assert claim(engine, alert)[0].n == 1
    write(engine, alert, held, [0, 0, 0], LeaseChange.RELEASE)
    assert claim(engine, alert)[0].n == 0


def test_a_released_batch_is_not_claimable_before_its_earliest_retry(engine, alert):
    held = claim(engine, alert)[0]
    waits = [(1, 30.0, "HTTP 503"), (2, 60.0, "HTTP 429")]
    write(engine, alert, held, [2, 1, 1], LeaseChange.RELEASE, due_s=30.0, waits=waits)
    claim(engine, alert)
    assert claim(engine, alert) == []
    with transaction(engine) as session:
        session.execute(text("UPDATE batch SET claimable_at = now() WHERE n = 0"))
        session.execute(text("UPDATE retry SET due_at = now() WHERE position = 1"))
    again = claim(engine, alert)[0]
    assert list(again.waits) == [2]
    assert 50 < again.waits[2] <= 60
    assert again.reasons == {1: "HTTP 503", 2: "HTTP 429"}


def test_the_waits_of_a_batch_given_back_replace_those_on_record(engine, alert):
    for waits in ([(0, 30.0, "HTTP 503"), (1, 30.0, "HTTP 503")], [(1, 0.0, "HTTP 429")], []):
        held = claim(engine, alert)[0]
        assert held.n == 0
        states = [1, 1, 1] if waits else [1, 1, 2]
        write(engine, alert, held, states, LeaseChange.RELEASE, waits=waits)
        with transaction(engine) as session:
            session.execute(text("UPDATE batch SET started_at = NULL"))
            on_record = session.execute(text("SELECT position, why FROM retry ORDER BY 1")).all()
        assert on_record == [(position, why) for position, _, why in waits]


def test_only_the_holder_of_a_batch_notes_what_was_accepted(engine, alert):
    with transaction(engine) as session:
        device = a.a_device(session, a.a_reader(session), trusted_at=None, refusals=2)
        device_id = device.id

    def trusted():
        with transaction(engine) as session:
            return session.execute(
                text("SELECT trusted_at IS NOT NULL, refusals FROM device WHERE id = :id"),
                {"id": device_id},
            ).one()

    late = claim(engine, alert)[0]
    claim(engine, alert)
    end_lease(engine)
    heir = claim(engine, alert)[0]
    write(engine, alert, late, [2, 2, 2], LeaseChange.END, accepted=[device_id])
    assert trusted() == (False, 2)
    write(engine, alert, heir, [2, 2, 2], LeaseChange.END, accepted=[device_id])
    assert trusted() == (True, 0)


def test_fresh_batches_are_claimed_before_retries(engine, alert):
    held = claim(engine, alert)[0]
    write(engine, alert, held, [1, 1, 1], LeaseChange.RELEASE, due_s=0.0)
    assert claim(engine, alert)[0].n == 1


def test_nothing_of_a_stopped_alert_is_claimed_and_its_holder_learns_it(engine, alert):
    held = claim(engine, alert)[0]
    with transaction(engine) as session:
        session.execute(text("UPDATE alert SET state = 'stopped'"))
    assert claim(engine, alert) == []
    assert write(engine, alert, held, [2, 0, 0]).state is AlertState.STOPPED


def test_closing_leaves_leased_batches_to_their_holder(engine, alert):
    held = claim(engine, alert)[0]
    with transaction(engine) as session:
        assert batch_closing.close_open_batches(session, alert, State.CANCELLED) == 1
    assert row(engine, 1).counts == [0, 0, 0, 0, 0, 0, 3]
    assert row(engine, held.n).finished_at is None


def test_closing_keeps_what_was_said_already(engine, alert):
    held = claim(engine, alert)[0]
    write(engine, alert, held, [2, 1 | 8, 0], LeaseChange.RELEASE)
    with transaction(engine) as session:
        batch_closing.close_open_batches(session, alert, State.EXPIRED)
    assert bytes(row(engine).states) == bytes([2, 4 | 8, 4])


def test_a_batch_is_begun_when_a_push_of_it_was_tried_and_not_when_it_was_claimed(engine, alert):
    held = claim(engine, alert)[0]
    write(engine, alert, held, [0, 3, 0])
    assert row(engine).started_at is None
    write(engine, alert, held, [0, 3, 0], in_flight=True)
    begun = row(engine).started_at
    assert begun is not None
    write(engine, alert, held, [2 | 16, 3, 0])
    assert row(engine).started_at == begun


def test_who_believes_in_an_old_deadline_claims_nothing(engine, alert):
    with transaction(engine) as session:
        old = session.execute(text("SELECT expires_at FROM alert")).scalar_one()
        session.execute(text("UPDATE alert SET expires_at = expires_at + interval '1 h'"))
    assert claim(engine, alert, deadline=old) == []
    assert claim(engine, alert, deadline=old + timedelta(hours=1))


def test_the_same_positions_buried_twice_for_one_reason_count_once(engine, alert):
    for positions in ([2, 0], [0, 2, 1]):
        with transaction(engine) as session:
            dead_letters.bury(session, alert, 0, 0, "fcm", "too old", "400", positions)
    with transaction(engine) as session:
        kept = session.execute(text("SELECT positions FROM dead_letter")).scalars().all()
    assert [sorted(positions) for positions in kept] == [[0, 1, 2]]


def test_an_alert_is_finished_when_its_last_batch_is(engine, alert):
    held = [claim(engine, alert)[0], claim(engine, alert)[0]]
    write(engine, alert, held[0], [2, 2, 2], LeaseChange.END)
    with transaction(engine) as session:
        assert not alert_transitions.finish_if_done(session, alert)
    write(engine, alert, held[1], [2, 3, 5], LeaseChange.END)
    with transaction(engine) as session:
        assert alert_transitions.finish_if_done(session, alert)
        state = session.execute(text("SELECT state FROM alert")).scalar_one()
    assert state == "finished"


def test_two_workers_that_settle_the_last_two_batches_at_once_end_the_alert(engine, alert):
    for _ in range(20):
        with transaction(engine) as session:
            session.execute(
                text("UPDATE batch SET finished_at = NULL, lease_token = NULL, claimable_at=now()")
            )
            session.execute(text("UPDATE alert SET state='sending', settled=false"))
        held = [claim(engine, alert)[0], claim(engine, alert)[0]]
        barrier = threading.Barrier(2)

        def settle(claimed, barrier=barrier):
            barrier.wait()
            write(engine, alert, claimed, [2, 2, 2], LeaseChange.END)
            with transaction(engine) as session:
                alert_transitions.finish_if_done(session, alert)

        both = [threading.Thread(target=settle, args=(claimed,)) for claimed in held]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        with transaction(engine) as session:
            assert session.execute(text("SELECT state FROM alert")).scalar_one() == "finished"


def test_an_alert_whose_deadline_passed_before_any_push_was_tried_is_expired(engine, alert):
    with transaction(engine) as session:
        batch_closing.close_open_batches(session, alert, State.EXPIRED)
        assert alert_transitions.finish_if_done(session, alert)
        assert session.execute(text("SELECT state FROM alert")).scalar_one() == "expired"


def test_of_a_batch_tried_before_only_the_due_devices_are_read(engine):
    with transaction(engine) as session:
        row = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON)
        reader = a.a_reader(session)
        ids = [a.a_device(session, reader, provider="fcm").id for _ in range(5)]
        gone = a.a_device(session, reader, provider="fcm", gone_at=a.NOON).id
        pending = [State.PENDING] * 6
        a.a_batch(session, row, pending, provider="fcm", device_ids=[*ids, gone])
        alert = row.id

    def positions(claimed):
        assert all(claimed.device_ids[fields[0]] == fields[1] for fields in claimed.devices)
        return sorted(fields[0] for fields in claimed.devices)

    held = claim(engine, alert)[0]
    assert positions(held) == [0, 1, 2, 3, 4]
    waits = [(1, 0.0, "HTTP 503"), (2, 60.0, "HTTP 503"), (3, 0.0, "its time was over")]
    states = [State.ACCEPTED, State.RETRYING, State.RETRYING, State.EXPIRED, 0, State.GONE]
    write(engine, alert, held, states, LeaseChange.RELEASE, waits=waits)
    again = claim(engine, alert)[0]
    assert positions(again) == [1, 4]
    assert (list(again.waits), sorted(again.reasons)) == ([2], [1, 2, 3])
    with transaction(engine) as session:
        due = batch_claims.load_devices(session, alert, 0, 0, [1, 3])
    assert {fields[1] for fields in due} == {ids[1], ids[3]}


def test_a_claim_of_its_own_takes_what_a_claim_in_a_transaction_would(engine, alert):
    with transaction(engine) as session:
        deadline = session.execute(text("SELECT expires_at FROM alert")).scalar_one()
    terms = {"lease_s": 20.0, "lock_wait_s": 1.0, "deadline": deadline}
    first, second, none = (
        batch_claims.claim_alone(engine, alert, "fcm", **terms) for _ in range(3)
    )
    assert (first.n, second.n, none) == (0, 1, None)
    assert first.token != second.token
    assert row(engine).lease_token == first.token
