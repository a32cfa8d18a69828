"""An alarm is reported once, its end is reported once, and what flickers is one alarm."""

from datetime import UTC, datetime, timedelta

from service.domain.operations.alarm import LASTING, QUIET, OpenAlarm, judge_alarms

START = datetime(2030, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=5)


def trouble(now, *, ends=True):
    return OpenAlarm(key="apns held", sentence="Apple is held", began_at=now, ends=ends)


def watch(presence, *, ends=True):
    """Look every five seconds; returns at which looks it was reported as begun and as ended."""
    alarms, begun, ended = {}, [], []
    for n, is_there in enumerate(presence):
        now = START + n * STEP
        result = judge_alarms(alarms, [trouble(now, ends=ends)] if is_there else [], now)
        alarms = {alarm.key: alarm for alarm in result.open}
        begun += [n] * len(result.begun)
        ended += [n] * len(result.ended)
    return begun, ended, alarms


LOOKS = LASTING // STEP
AWAY = QUIET // STEP


def test_what_lasts_is_reported_once_and_its_end_once():
    assert watch([True] * 40 + [False] * 40) == ([LOOKS], [40 + AWAY], {})


def test_what_ends_by_itself_at_once_is_nobodys_alarm():
    assert watch([True] * LOOKS + [False] * 40) == ([], [], {})


def test_what_comes_and_goes_is_one_alarm():
    begun, ended, _ = watch(([True] * 10 + [False] * (AWAY - 1)) * 5 + [False] * 40)
    assert begun == [LOOKS]
    assert len(ended) == 1


def test_what_has_happened_to_an_alert_has_no_end():
    assert watch([True] * 40 + [False] * 40, ends=False) == ([LOOKS], [], {})


def test_what_comes_back_after_its_end_is_reported_again():
    begun, ended, _ = watch(([True] * 10 + [False] * 20) * 2)
    assert begun == [LOOKS, 30 + LOOKS]
    assert len(ended) == 2
