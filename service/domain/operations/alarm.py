"""When a trouble becomes an alarm, and when its end is reported: once each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

LASTING = timedelta(seconds=15)
"""A trouble that ends by itself before that is nobody's alarm."""
QUIET = timedelta(seconds=60)
"""So long a trouble must be away before its end is reported: one that flickers is one alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlarm:
    """A trouble that was seen: since when, whether people know it, and since when it is away."""

    key: str
    sentence: str
    began_at: datetime
    reported: bool = False
    away_since: datetime | None = None
    ends: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPass:
    """What one look at the troubles leads to: what to report, and the alarms that stay open."""

    begun: tuple[OpenAlarm, ...]
    ended: tuple[OpenAlarm, ...]
    open: tuple[OpenAlarm, ...]


def judge_alarms(
    alarms: Mapping[str, OpenAlarm], troubles: Iterable[OpenAlarm], now: datetime
) -> AlarmPass:
    """Compare the open alarms with the troubles of now, which are alarms that begin now."""
    present = {trouble.key: trouble for trouble in troubles}
    begun, ended, still_open = [], [], []
    for key, trouble in present.items():
        alarm = alarms.get(key, trouble)
        due = not alarm.reported and now - alarm.began_at >= LASTING
        current = OpenAlarm(
            key=key,
            sentence=trouble.sentence,
            began_at=alarm.began_at,
            reported=alarm.reported or due,
            ends=trouble.ends,
        )
        still_open.append(current)
        if due:
            begun.append(current)
    for key, alarm in alarms.items():
        if key in present or not alarm.reported:
            continue
        away_since = alarm.away_since or now
        if now - away_since < QUIET:
            still_open.append(_away(alarm, away_since))
        elif alarm.ends:
            ended.append(alarm)
    return AlarmPass(begun=tuple(begun), ended=tuple(ended), open=tuple(still_open))


def _away(alarm: OpenAlarm, since: datetime) -> OpenAlarm:
    return OpenAlarm(
        key=alarm.key,
        sentence=alarm.sentence,
        began_at=alarm.began_at,
        reported=True,
        away_since=since,
        ends=alarm.ends,
    )
