"""Alerts, the outbox: what was decided to say. `alert_transitions` changes them.

A chain is one alert without a `source_alert_id`, its root, and the corrections and withdrawals of
it. They all name the root, never one another: every device that holds any version of the text is
in the root's batches, while a correction that was stopped halfway covers only some of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, insert, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel

from service.domain.alert import Alert, AlertState, Kind, Report, Words
from service.domain.errors import AlreadyAlerted
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.new_alerts import CANARY
from service.domain.pace.local_release import LocalRelease
from service.domain.subscription import Urgency
from service.domain.totals import Totals, fold, timing
from service.store import paging
from service.store.alerts import alert_totals, headline_tests
from service.store.alerts.last_reasons import last_reasons
from service.store.alerts.left_out import count_left_out
from service.store.alerts.next_releases import next_releases
from service.store.operations import apps as app_rows
from service.store.readers import receipts
from service.store.schema import AlertRow, StoryRow
from service.store.sql_fragments import NOT_ENDED, RUNNING
from service.tracing.spans import traceparent

ONE_FIRST = "alert_one_first"

_ALERT = SQLModel.metadata.tables[AlertRow.__tablename__]
_A = _ALERT.c
_S = SQLModel.metadata.tables[StoryRow.__tablename__].c
_FOR_READERS = _A.kind.in_((Kind.FIRST.value, Kind.UPDATE.value))
"""What speaks of a story to its readers: neither takes anything back nor is a test."""
_NO_NEWS = (Kind.TEST.value, Kind.DIGEST.value)
_NEWEST = (_A.created_at.desc(), _A.id.desc())


def add(session: Session, alert: Alert) -> None:
    """Keep a new alert; `AlreadyAlerted` when it is a second first one of its story.

    The database decides which of two simultaneous ones comes second.
    """
    try:
        with session.begin_nested():
            session.execute(insert(_ALERT).values(_values(alert)))
    except IntegrityError as error:
        if ONE_FIRST not in str(error.orig):
            raise
        first = first_of(session, alert.story_id)
        raise AlreadyAlerted(first.id if first else alert.id) from None


def get(session: Session, alert_id: int) -> Alert | None:
    """Return the alert as its row says."""
    return _one(session, select(_ALERT).where(_A.id == alert_id))


def lock(session: Session, alert_ids: Sequence[int]) -> list[Alert]:
    """Return the alerts; no other transaction changes them before this one ends."""
    query = select(_ALERT).where(_A.id.in_(alert_ids)).order_by(_A.id)
    # Rows that only refer to the alert, as dead letters and retries do, need not wait for us.
    return _all(session, query.with_for_update(key_share=True))


def page(
    session: Session, cursor: str | None, limit: int, *conditions: ColumnElement[bool]
) -> paging.Page[Report]:
    """Return the newest alerts, each with what became of it; what speaks of no story is no news.

    That are canaries, tests and digests.
    """
    news = and_(_A.created_by != CANARY, _A.kind.not_in(_NO_NEWS), *conditions)
    query = select(_ALERT).where(news).order_by(*_NEWEST).limit(limit + 1)
    after = paging.read_moment(cursor)
    if after is not None:
        query = query.where(tuple_(_A.created_at, _A.id) < tuple_(*after))
    alerts = paging.cut(
        _all(session, query), limit, lambda alert: paging.after_moment(alert.created_at, alert.id)
    )
    return paging.Page(_reports(session, alerts.items), alerts.next)


def running_alerts(session: Session, limit: int = 100) -> list[Report]:
    """Return the alerts whose pushes may be leaving now, the newest first."""
    query = select(_ALERT).where(_A.state.in_(RUNNING)).order_by(*_NEWEST).limit(limit)
    return _reports(session, _all(session, query))


def first_of(session: Session, story_id: int) -> Alert | None:
    """Return the alert that holds the story's one place."""
    holds = and_(_A.kind == Kind.FIRST.value, ~_A.dry_run, ~_A.void)
    return _one(session, select(_ALERT).where(_A.story_id == story_id, holds))


def root_of_story(session: Session, story_id: int, *, lock: bool = False) -> Alert | None:
    """Return what a correction of the story corrects: its first alert.

    Where that is void, it is the newest alert that an update sent to an audience of its own.
    """
    to_own_audience = and_(_A.kind == Kind.UPDATE.value, _A.source_alert_id.is_(None), ~_A.dry_run)
    newest = (
        select(_ALERT).where(_A.story_id == story_id, to_own_audience).order_by(*_NEWEST).limit(1)
    )
    root = first_of(session, story_id) or _one(session, newest)
    if root is None or not lock:
        return root
    return _one(session, select(_ALERT).where(_A.id == root.id).with_for_update(key_share=True))


def chain(session: Session, root_id: int) -> list[Alert]:
    """Return a root and what corrected or withdrew it, dry runs left out, the oldest first."""
    members = (_A.id == root_id) | (and_(_A.source_alert_id == root_id, ~_A.dry_run))
    return _all(session, select(_ALERT).where(members).order_by(_A.created_at, _A.id))


def stoppable(session: Session, story_id: int) -> list[int]:
    """Return the story's alerts that are scheduled or running, but for withdrawals and digests.

    Of a digest, what may be told no more falls away by itself.
    """
    others = _A.kind.not_in((Kind.WITHDRAWAL.value, Kind.DIGEST.value))
    return _ids(session, _A.story_id == story_id, _A.state.in_(NOT_ENDED), others)


def lock_replaced(session: Session, alert: Alert, root_id: int) -> list[Alert]:
    """Lock the running alerts that a correction or withdrawal of this chain replaces.

    A withdrawal replaces its chain, a correction whatever of its story speaks to readers.
    """
    of_chain = (_A.id == root_id) | (_A.source_alert_id == root_id)
    of_story = and_(_A.story_id == alert.story_id, _FOR_READERS)
    scope = of_story if alert.kind is Kind.UPDATE else of_chain
    leaving = and_(_A.state.in_(RUNNING), ~_A.dry_run, _A.id != alert.id)
    rows = lock(session, _ids(session, leaving, scope))
    return [other for other in rows if other.state.running]


def report(session: Session, alert_id: int) -> Report | None:
    """Return an alert with what became of it so far."""
    alert = get(session, alert_id)
    return None if alert is None else _reports(session, [alert])[0]


def _reports(session: Session, alerts: Sequence[Alert]) -> list[Report]:
    ids = [alert.id for alert in alerts]
    totals = alert_totals.totals(session, ids)
    steps = alert_totals.steps(session, ids)
    marks = receipts.counts(session, ids)
    in_vain = [
        alert_id for alert_id, each in totals.items() if sum(each.values(), Totals()).in_vain
    ]
    reasons = last_reasons(session, in_vain)
    providers = app_rows.providers(session)
    left_out = count_left_out(session, ids)
    known = alert_totals.count_known(session, ids)
    releases = next_releases(session, alerts)
    choices = headline_tests.choices(session, alerts)
    figures = headline_tests.figures(session, alerts)
    return [
        Report(
            alert=alert,
            totals=sum(totals.get(alert.id, {}).values(), Totals()),
            by_app=totals.get(alert.id, {}),
            by_provider=fold(totals.get(alert.id, {}), providers, Totals()),
            timing=timing(steps.get(alert.id, [])),
            causes=reasons.get(alert.id, {}),
            shown=marks.get(alert.id, receipts.NOTHING).shown,
            opened=marks.get(alert.id, receipts.NOTHING).opened,
            known=known.get(alert.id, 0),
            left_out=left_out.get(alert.id, {}),
            releases=releases.get(alert.id, ()),
            headline_choice=choices.get(alert.id),
            headlines=figures.get(alert.id, ()),
        )
        for alert in _with_words(session, alerts)
    ]


def _with_words(session: Session, alerts: Sequence[Alert]) -> list[Alert]:
    """Give those that still follow their story the words they would leave with now."""
    following = [alert.story_id for alert in alerts if alert.title is None or alert.body is None]
    if not following:
        return list(alerts)
    rows = session.execute(select(_S.id, _S.headline, _S.summary).where(_S.id.in_(following)))
    words = {row.id: Words(row.headline, row.summary) for row in rows}
    return [
        replace(
            alert,
            title=words[alert.story_id].title if alert.title is None else alert.title,
            body=words[alert.story_id].body if alert.body is None else alert.body,
        )
        if alert.story_id in words
        else alert
        for alert in alerts
    ]


def _all(session: Session, query: Select[Any]) -> list[Alert]:
    return [_alert(row) for row in session.execute(query)]


def _one(session: Session, query: Select[Any]) -> Alert | None:
    row = session.execute(query).one_or_none()
    return None if row is None else _alert(row)


def _ids(session: Session, *conditions: ColumnElement[bool]) -> list[int]:
    return list(session.execute(select(_A.id).where(*conditions)).scalars())


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        story_id=row.story_id,
        kind=Kind(row.kind),
        state=AlertState(row.state),
        title=row.title,
        body=row.body,
        locales={tag: Words(words["title"], words["body"]) for tag, words in row.locales.items()},
        urgency=Urgency.of_rank(row.urgency),
        topics=None if row.topics is None else tuple(row.topics),
        everyone=row.everyone,
        collapse_key=row.collapse_key,
        dry_run=row.dry_run,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ttl=timedelta(seconds=row.ttl_s),
        send_at=row.send_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        stop_reason=row.stop_reason,
        wait_reason=row.wait_reason if row.state == AlertState.SCHEDULED else None,
        source_alert_id=row.source_alert_id,
        takes_over=row.takes_over,
        reader_id=row.reader_id,
        restored_at=row.restored_at,
        created_by=row.created_by,
        spread=timedelta(seconds=row.spread_s),
        local_release=LocalRelease.of_json(row.local_release),
        headline_test=HeadlineTest.of_json(row.headline_test),
        undoable=row.undoable,
        apps=None if row.apps is None else tuple(row.apps),
        one_device=row.one_device,
    )


def _values(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "story_id": alert.story_id,
        "kind": alert.kind.value,
        "state": alert.state.value,
        "title": alert.title,
        "body": alert.body,
        "locales": {
            tag: {"title": words.title, "body": words.body} for tag, words in alert.locales.items()
        },
        "urgency": alert.urgency.rank,
        "topics": None if alert.topics is None else list(alert.topics),
        "everyone": alert.everyone,
        "collapse_key": alert.collapse_key,
        "dry_run": alert.dry_run,
        "source_alert_id": alert.source_alert_id,
        "takes_over": alert.takes_over,
        "reader_id": alert.reader_id,
        "created_by": alert.created_by,
        "spread_s": int(alert.spread.total_seconds()),
        "local_release": alert.local_release and alert.local_release.to_json(),
        "headline_test": alert.headline_test and alert.headline_test.to_json(),
        "undoable": alert.undoable,
        "apps": None if alert.apps is None else list(alert.apps),
        "one_device": alert.one_device,
        "created_at": alert.created_at,
        "send_at": alert.send_at,
        "expires_at": alert.expires_at,
        "ttl_s": int(alert.ttl.total_seconds()),
        "traceparent": traceparent(),
    }
