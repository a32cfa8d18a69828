"""How many requests may wait for one origin, and which are turned away."""

import pytest

from workers.gateway.waiting_requests import WaitingRequests, most_waiting
from workers.provider import Request


@pytest.mark.parametrize(
    ("window", "origin_window", "limit"), [(1, None, 1), (64, None, 32), (64, 8, 8), (4, 0, 1)]
)
def test_at_least_one_request_may_wait_for_an_origin(window, origin_window, limit):
    assert most_waiting(window, lambda _addresses: None, origin_window) == limit


def test_a_pool_that_is_not_guarded_has_one_origin_and_no_limit():
    assert most_waiting(1, None, None) is None


def test_a_request_that_would_join_a_crowd_that_gets_nowhere_is_turned_away():
    waiting = WaitingRequests()
    request = Request("POST", "https://push.example/1", {}, b"")
    assert waiting.admit(request, 10.0, 1)
    assert waiting.admit(request, 10.5, 1)
    assert not waiting.admit(request, 12.0, 1)
    assert waiting.take_expired(10.0) == [request]
    assert waiting.admit(request, 11.0, 1)
