"""The devices of a claimed batch, and what people read of an answer."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain import receipt
from service.domain.delivery import State
from service.store.deliveries import batch_claims
from tests import builders as a
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.loading import quote, targets_of
from workers.provider import Answer, Failure
from workers.provider_kit.answers import read_failure

FID = "cHVzaC1pcy1ub3QtYS1pZA"


@pytest.mark.parametrize("address", [FID, "ab" * 32, "https://push.example/send/dXBkYXRl"])
def test_an_address_that_a_provider_repeats_is_not_kept(address):
    assert address not in quote(Answer(400, body=f'{{"token": "{address}"}}'.encode()))
    assert address not in quote(Answer(0, failure=Failure.UNKNOWN, detail=f"to {address}: reset"))


@pytest.mark.parametrize(
    "words", ["a\0b", "a\x1b[2Jb", "a\r\nb", "a\u202eb", "a\u2028b", "a\x85b", "a\udcffb", "a\tb"]
)
def test_control_characters_of_a_hostile_answer_are_dropped(words):
    body = words.encode(errors="surrogatepass")
    failure = Answer(0, failure=Failure.UNKNOWN, detail=words)
    for text in (quote(Answer(400, body=body)), quote(failure), read_failure(failure).why):
        assert text.isprintable()
        assert text.replace("[2J", "").endswith("a b") or "\ufffd" in text


def test_a_reason_stays_readable():
    assert quote(Answer(400, body=b'{"reason":"BadDeviceToken"}')) == (
        '400 {"reason":"BadDeviceToken"}'
    )


@pytest.mark.parametrize("results", [True, False])
def test_receipts_of_readers_who_share_nothing_are_signed_and_do_not_count(session, results):
    device = a.a_device(session, a.a_reader(session))
    alert = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON)
    a.a_batch(session, alert, [State.PENDING], device_ids=[device.id], results=results)
    claim = batch_claims.claim(session, alert.id, "apns", lease_s=20)[0]
    now = datetime.now(UTC)
    batch = LeasedBatch(claim, now + timedelta(hours=1), lambda: now)
    target = targets_of(batch, alert.id, claim.devices, b"secret")[0]
    position = 0 if results else receipt.UNCOUNTED
    assert receipt.read([b"secret"], target.receipt) == (alert.id, 0, 0, position)
