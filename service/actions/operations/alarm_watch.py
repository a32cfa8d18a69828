"""Looks at what is wrong every few seconds, and tells people once, and once more when it is over.

It runs in every serving process, and one of them looks at a time, by a lease: the sweep and the
workers cannot report that they are gone. Nothing of a request waits for it.
"""

import os
import socket
import threading
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.actions.operations.alarm_channels import AlarmResult, send_alarm, send_note
from service.actions.operations.troubles import RECENT, list_troubles
from service.domain.operations.alarm import AlarmPass, OpenAlarm, judge_alarms
from service.outbox import Broker
from service.settings import Settings
from service.store.operations import alarms, gauges, process_leases
from service.store.operations.gauges import AlertEnding
from service.unit_of_work import UnitOfWork, unit_of_work

log = structlog.get_logger()

EVERY_S = 5.0
LEASE = "alarms"
LEASE_S = 60.0
MOST_LINES = 20


@dataclass(slots=True)
class AlarmWatch:
    """The thread of one serving process."""

    settings: Settings
    engine: Engine
    broker: Broker
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, if there is anybody to tell."""
        if self.settings.alarm_urls or self.settings.alarm_emails or self.settings.desk_urls:
            self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def _run(self) -> None:
        holder = f"{socket.gethostname()}/{os.getpid()}"
        while not self._stopping.wait(EVERY_S):
            try:
                with unit_of_work(self.engine, self.broker) as work:
                    is_ours = process_leases.take(work.session, LEASE, holder, LEASE_S)
                if is_ours:
                    look(self.engine, self.broker, self.settings)
            except SQLAlchemyError as error:
                log.warning("alarms", error=type(error).__name__)


def look(engine: Engine, broker: Broker, settings: Settings) -> None:
    """Look once: what has begun or ended since the last look is reported, in one text each.

    What is reported is written down first, so that it is reported once; a text that no channel
    took is tried again at the next look.
    """
    with unit_of_work(engine, broker) as work:
        before = alarms.open_alarms(work.session)
        troubles = [
            OpenAlarm(
                key=one.key,
                sentence=_line(one.sentence, one.advice),
                began_at=work.now,
                ends=one.ends,
            )
            for one in list_troubles(work, settings)
        ]
        result = judge_alarms(before, troubles, work.now)
        alarms.keep(work.session, result.open)
        notes = _claim_notes(work, settings)
    if result.begun or result.ended:
        sent = send_alarm(settings, _subject(settings, result), describe(settings, result))
        if sent and all(one.fault for one in sent):
            log.warning("no channel took an alarm", faults=[one.fault for one in sent])
            with unit_of_work(engine, broker) as work:
                alarms.keep(work.session, before.values())
    for end in notes:
        send_note(settings, describe_ending(end))


def _claim_notes(work: UnitOfWork, settings: Settings) -> list[AlertEnding]:
    if not settings.desk_urls:
        return []
    alarms.forget_old_notes(work.session, work.now)
    ends = gauges.recent_endings(work.session, work.now - RECENT)
    return [end for end in ends if alarms.claim_note(work.session, end.alert_id, work.now)]


def describe(settings: Settings, result: AlarmPass) -> str:
    """Return what has begun and what is over, a line each, with where to look."""
    lines = [f"🔴 {alarm.sentence}" for alarm in result.begun]
    lines += [f"🟢 Over: {alarm.sentence.partition(' - ')[0]}" for alarm in result.ended]
    more = len(lines) - MOST_LINES
    rest = [f"... and {more} more"] if more > 0 else []
    return "\n".join([*lines[:MOST_LINES], *rest, f"{settings.public_url}/control"])


def describe_ending(end: AlertEnding) -> str:
    """Return the note for the newsroom: what went out, to how many, how fast."""
    kind = "Breaking" if end.breaking else "Alert"
    seconds = f"{end.seconds:.0f} s" if end.seconds >= 1 else "a second"
    of_all = "" if end.accepted == end.planned else f" of {end.planned:,}"
    return f"{kind} went out: “{end.title}”, {end.accepted:,}{of_all} accepted in {seconds}"


def send_test(settings: Settings) -> list[AlarmResult]:
    """Send an alarm that says that it is a test."""
    text = f"This is a test of the alarms of {settings.site_name}. Nothing is wrong."
    return send_alarm(settings, f"{settings.site_name}: test alarm", text)


def _subject(settings: Settings, result: AlarmPass) -> str:
    first = (*result.begun, *result.ended)[0].sentence.partition(" - ")[0]
    return f"{settings.site_name}: {'' if result.begun else 'over: '}{first}"


def _line(sentence: str, advice: str) -> str:
    return f"{sentence} - {advice}"
