"""Each documented answer leads to its verdict: one table a provider in `answers/`."""

import json
from datetime import timedelta

import pytest

from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
)
from tests.providers import examples
from tests.providers.documented import DOCUMENTED
from workers import provider as providers
from workers.provider import Answer, Failure
from workers.providers import apns, expo, fcm, hms, webpush

TABLES = {name: table["answers"] for name, table in examples.TABLES.items()}
ROWS = [(name, row) for name, rows in TABLES.items() for row in rows]
SENDING = sorted(set(providers.provider_names()) - {"console"})


def label(value):
    if isinstance(value, dict):
        return f"{value['status']}-{value.get('reason', 'nothing')}-{value['verdict']}"
    return value


def answer_in(row) -> Answer:
    body = row.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(row["status"], row.get("headers", {}), text.encode())


def seconds_of(wait: timedelta | None) -> float | None:
    return None if wait is None else wait.total_seconds()


def marks_of(verdict) -> dict:
    """What a row may say of a verdict; what it leaves out must be absent."""
    marks = {"verdict": type(verdict).__name__}
    match verdict:
        case Accepted():
            marks["follow_up"] = verdict.follow_up and verdict.follow_up.after.total_seconds()
        case TryLater():
            marks["after"] = seconds_of(verdict.after)
            marks["first"] = seconds_of(verdict.first)
            marks["scope"] = verdict.scope if verdict.scope != "device" else None
            marks["unknown"] = verdict.unknown
            marks["reconnect"] = verdict.reconnect
            marks["blameless"] = verdict.blameless
        case DeviceGone():
            marks["since"], marks["doubtful"] = verdict.since, verdict.doubtful
        case DeviceRefused():
            marks["doubtful"] = verdict.doubtful
        case SenderRejected():
            marks["remint"] = verdict.remint
    return {name: m for name, m in marks.items() if m is not None and m is not False and m != ""}


@pytest.mark.parametrize(("name", "row"), ROWS, ids=label)
def test_a_documented_answer_has_its_verdict(provider_named, name, row):
    [verdict] = provider_named(name).read_answer(answer_in(row), (7,))
    told = {"status", "reason", "headers", "body", "says", "source"}
    assert marks_of(verdict) == {key: value for key, value in row.items() if key not in told}
    if "says" in row:
        assert row["says"] in verdict.why
    assert row["source"]


@pytest.mark.parametrize("name", SENDING)
def test_every_documented_reason_is_in_the_table(name):
    assert {(row["status"], row.get("reason")) for row in TABLES[name]} >= DOCUMENTED.get(
        name, set()
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("apns", set(apns.REASONS)),
        ("fcm", {reason for reason in fcm.REASONS if reason[1]}),
        ("hms", {(200, code) for code in [*hms.REASONS, hms.SUCCESS, hms.PARTIAL]}),
    ],
)
def test_the_code_knows_the_documented_reasons_and_no_other(name, known):
    assert known == DOCUMENTED[name]


def test_the_code_knows_every_error_of_expo():
    assert set(expo.REASONS) == {reason for _, reason in DOCUMENTED["expo"]}


def test_the_code_knows_every_status_and_number_of_push_services():
    documented = {(s, int(n) if n.isdigit() else n) for s, n in DOCUMENTED["webpush"]}
    assert set(webpush.DETAILS) <= documented
    by_class = {500, 502, 503}
    assert {status for status, _ in documented} - by_class <= set(webpush.STATUSES) | {400}


@pytest.mark.parametrize("name", SENDING)
@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (Failure.NOT_SENT, TryLater("not sent: no route")),
        (Failure.UNKNOWN, TryLater("no answer: no route", unknown=True)),
        (Failure.FORBIDDEN, DeviceRefused("the address leads to a network that is not public")),
        (None, TryLater("no answer: no route", unknown=True)),
    ],
)
def test_no_answer_means_the_same_everywhere(provider_named, name, failure, verdict):
    answer = Answer(0, failure=failure, detail="no route")
    assert list(provider_named(name).read_answer(answer, (3,))) == [verdict]


@pytest.mark.parametrize("name", SENDING)
def test_what_a_person_reads_is_one_sentence_that_says_what_to_do(provider_named, name):
    provider = provider_named(name)
    verdicts = [provider.read_answer(answer_in(row), (0,))[0] for row in TABLES[name]]
    for verdict in verdicts:
        if isinstance(verdict, SenderRejected | AlertRejected):
            assert verdict.why.endswith(".")
            assert verdict.why[0].isupper()
            assert ". " not in verdict.why
        if isinstance(verdict, SenderRejected):
            todo = ("check", "set ", "give ", "enable", "mend")
            assert any(word in verdict.why for word in todo), verdict.why


def test_a_retry_after_is_never_longer_than_a_day(apns):
    for given in ("999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"):
        [verdict] = apns.read_answer(Answer(503, {"retry-after": given}), (0,))
        assert verdict.after == timedelta(days=1)


@pytest.mark.parametrize("given", ["soon", "-5", "1.5", "", "٣", "Thu, 99 Foo 2026"])
def test_a_retry_after_that_is_none_leaves_the_wait_to_us(apns, given):
    [verdict] = apns.read_answer(Answer(503, {"retry-after": given}), (0,))
    assert verdict.after is None


def test_a_retry_after_in_the_past_means_now(apns):
    headers = {
        "retry-after": "Thu, 01 Jan 2026 00:00:00 GMT",
        "date": "Thu, 01 Jan 2026 00:00:09 GMT",
    }
    [verdict] = apns.read_answer(Answer(503, headers), (0,))
    assert verdict.after == timedelta(0)
