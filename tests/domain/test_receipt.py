import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import receipt
from service.domain.errors import Forbidden

SECRET = b"a secret of some length"
PLACES = st.tuples(
    st.integers(1, 2**63 - 1),
    st.integers(0, 100_000),
    st.integers(0, 2**16 - 1),
    st.integers(0, 999),
)


@given(PLACES)
def test_a_receipt_says_where_its_delivery_stands(place):
    token = receipt.sign(SECRET, *place)
    assert receipt.read([SECRET], token) == place
    assert len(token) == 35
    assert token.replace("-", "a").replace("_", "a").isalnum()


@given(PLACES)
def test_a_receipt_that_does_not_count_has_a_position_that_no_batch_has(place):
    *batch, position = place
    token = receipt.sign(SECRET, *place, counts=False)
    assert receipt.read([SECRET], token) == (*batch, position | receipt.UNCOUNTED)
    assert len(token) == 35


def test_a_secret_may_be_of_any_length():
    long = b"x" * 500
    assert receipt.read([long], receipt.sign(long, 1, 2, 3, 4)) == (1, 2, 3, 4)


@given(PLACES, st.integers(0, 34), st.sampled_from("ABCDabcd0189-_"))
def test_a_receipt_with_one_character_changed_is_forged(place, at, other):
    token = receipt.sign(SECRET, *place)
    forged = token[:at] + other + token[at + 1 :]
    if forged == token:
        return
    with pytest.raises(Forbidden):
        receipt.read([SECRET], forged)


@pytest.mark.parametrize("token", ["", "a", "x" * 35, "x" * 200, "é" * 35, " " * 35, "=" * 35])
def test_what_is_no_receipt_is_forged(token):
    with pytest.raises(Forbidden):
        receipt.read([SECRET], token)


def test_a_receipt_signed_with_another_secret_is_forged():
    with pytest.raises(Forbidden):
        receipt.read([SECRET], receipt.sign(b"another secret", 1, 2, 3, 4))


@given(PLACES)
def test_a_receipt_signed_before_the_secret_changed_is_still_read(place):
    token = receipt.sign(b"the secret of last month", *place)
    assert receipt.read([SECRET, b"the secret of last month"], token) == place
