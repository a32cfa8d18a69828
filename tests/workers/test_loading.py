"""What people read of an answer: short, and without anything that could be an address."""

import pytest

from workers.delivery.loading import quote
from workers.provider import Answer, Failure

FID = "cHVzaC1pcy1ub3QtYS1pZA"


@pytest.mark.parametrize("address", [FID, "ab" * 32, "https://push.example/send/dXBkYXRl"])
def test_an_address_that_a_provider_repeats_is_not_kept(address):
    assert address not in quote(Answer(400, body=f'{{"token": "{address}"}}'.encode()))
    assert address not in quote(Answer(0, failure=Failure.UNKNOWN, detail=f"to {address}: reset"))


def test_a_reason_stays_readable():
    assert quote(Answer(400, body=b'{"reason":"BadDeviceToken"}')) == (
        '400 {"reason":"BadDeviceToken"}'
    )
