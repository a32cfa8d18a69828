from datetime import time

import pytest

from service.domain.people import QuietHours, Role, Scope, hash_token


@pytest.mark.parametrize(
    ("begin", "end", "at", "held"),
    [
        ("22:00", "07:00", "23:30", True),
        ("22:00", "07:00", "00:00", True),
        ("22:00", "07:00", "06:59:59.999999", True),
        ("22:00", "07:00", "07:00", False),
        ("22:00", "07:00", "21:59:59.999999", False),
        ("13:00", "15:00", "13:00", True),
        ("13:00", "15:00", "15:00", False),
        ("13:00", "15:00", "01:00", False),
        ("22:00", "00:00", "23:59", True),
        ("22:00", "00:00", "00:00", False),
        ("12:00", "12:00", "12:00", False),
        ("00:00", "00:00", "03:00", False),
    ],
)
def test_quiet_hours_begin_sharp_end_sharp_and_may_cross_midnight(begin, end, at, held):
    hours = QuietHours(time.fromisoformat(begin), time.fromisoformat(end))
    assert hours.hold(time.fromisoformat(at)) is held


def test_an_admin_may_do_everything_and_an_editor_what_concerns_stories_and_alerts():
    assert Role.ADMIN.scopes == frozenset(Scope)
    assert Role.EDITOR.scopes == {Scope.STORIES_WRITE, Scope.ALERTS_WRITE}


def test_a_tokens_hash_tells_nothing_of_it_and_is_always_the_same():
    assert hash_token("token") == hash_token("token") != hash_token("Token")
    assert len(hash_token("token")) == 32
