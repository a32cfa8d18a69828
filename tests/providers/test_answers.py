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
from tests.providers.reach import README, scope_of, scope_table
from workers import provider as providers
from workers.provider import Answer, Failure
from workers.provider_kit import push_service_answers
from workers.providers import apns, expo, fcm, hms

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
            marks["later"] = seconds_of(verdict.later)
            marks["most_attempts"] = verdict.most_attempts
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
    told = {"status", "reason", "headers", "body", "says", "source", "scope", "together"}
    assert marks_of(verdict) == {key: value for key, value in row.items() if key not in told}
    if "says" in row:
        assert row["says"] in verdict.why
    assert row["source"]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=label)
def test_a_documented_answer_reaches_as_far_as_who_gave_it(provider_named, name, row):
    provider = provider_named(name)
    [verdict] = provider.read_answer(answer_in(row), (7,))
    alone, together = scope_of(provider, verdict), scope_of(provider, verdict, 100)
    assert (alone, together) == (row["scope"], row.get("together", row["scope"]))


def test_no_push_service_ends_an_alert_at_another_or_holds_them_all(webpush):
    answers = [answer_in(row) for row in TABLES["webpush"]]
    answers += [Answer(status) for status in range(100, 600)]
    for answer in answers:
        [verdict] = webpush.read_answer(answer, (7,))
        assert scope_of(webpush, verdict, 1000) in {"device", "origin"}, answer


def test_the_readme_lists_every_answer_with_its_scope():
    table = README.read_text().partition("<!-- scopes -->\n")[2].partition("<!-- end -->")[0]
    assert table == "".join(f"{line}\n" for line in scope_table(TABLES)), (
        "paste what `python -m tests.providers.reach` prints between the markers"
    )


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
    assert set(push_service_answers.DETAILS) <= {word for _, word in documented}
    by_class = {500, 502, 503}
    assert {s for s, _ in documented} - by_class <= set(push_service_answers.STATUSES)


@pytest.mark.parametrize("name", SENDING)
@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (Failure.NOT_SENT, TryLater("not sent: no route")),
        (Failure.UNKNOWN, TryLater("no answer: no route", unknown=True)),
        (None, TryLater("no answer: no route", unknown=True)),
    ],
)
def test_no_answer_means_the_same_everywhere(provider_named, name, failure, verdict):
    answer = Answer(0, failure=failure, detail="no route")
    assert list(provider_named(name).read_answer(answer, (3,))) == [verdict]


UNSENDABLE = Answer(
    0, failure=Failure.FORBIDDEN, detail="not a request that can be sent: TypeError"
)


@pytest.mark.parametrize("name", sorted(set(SENDING) - {"webpush"}))
def test_a_request_that_cannot_be_sent_is_our_fault_and_names_the_settings(provider_named, name):
    [verdict] = provider_named(name).read_answer(UNSENDABLE, (3,))
    assert isinstance(verdict, SenderRejected)
    assert f"{name.upper()}_" in verdict.why
    assert "not public" not in verdict.why


def test_an_address_in_a_private_network_is_told_from_one_that_nothing_can_be_sent_to(webpush):
    private = Answer(0, failure=Failure.FORBIDDEN, detail="the host is not public")
    assert "not public" in webpush.read_answer(private, (0,))[0].why
    assert "not public" not in webpush.read_answer(UNSENDABLE, (0,))[0].why


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
