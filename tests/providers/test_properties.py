"""Whatever comes back, there is a verdict for each position, and nobody is forgotten for noise."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.verdict import Accepted, DeviceGone, TryLater, Verdict
from tests.providers.documented import DOCUMENTED
from tests.providers.examples import a_target, alert_content, requests
from workers import provider as providers
from workers.provider import Answer, Failure, GivesTickets

SENDING = sorted(set(providers.provider_names()) - {"console"})
GONE = {
    "apns": {
        (400, "BadDeviceToken"),
        (400, "DeviceTokenNotForTopic"),
        (410, "Unregistered"),
        (410, "ExpiredToken"),
    },
    "fcm": {
        (404, "UNREGISTERED"),
        (404, "NOT_FOUND"),
        (403, "SENDER_ID_MISMATCH"),
        (400, "INVALID_ARGUMENT"),
    },
    "hms": {"80300007", "80100000"},
    "expo": {"DeviceNotRegistered"},
}
WORDS = sorted({str(reason) for reasons in DOCUMENTED.values() for _, reason in reasons})
KEYS = ["reason", "error", "errno", "code", "msg", "data", "errors", "details", "status", "message"]
KEYS += ["errorCode", "fieldViolations", "violations", "timestamp", "illegal_tokens", "field"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(WORDS)
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


def _cut(body: bytes, at: float) -> bytes:
    return body[: int(len(body) * at)]


bodies = st.one_of(
    st.binary(max_size=200),
    documents.map(lambda found: json.dumps(found).encode()),
    st.builds(_cut, documents.map(lambda found: json.dumps(found).encode()), st.floats(0, 1)),
    st.sampled_from([b"<html>502</html>", b"[" * 8192, b'{"a":' * 1000, b"9" * 5000, b"\xff\xfe"]),
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "apns-id", "location", "content-type"]),
    st.text(max_size=40) | st.integers().map(str) | st.sampled_from(["Thu, 01 Jan 2026 00:00:00"]),
)
statuses = st.sampled_from([200, 201, 301, 400, 401, 403, 404, 410, 413, 429, 500, 503])
answers = st.builds(
    Answer,
    statuses | st.integers(100, 999),
    headers,
    bodies,
) | st.builds(Answer, st.just(0), failure=st.none() | st.sampled_from(Failure), detail=st.text())


@pytest.mark.parametrize("name", SENDING)
@settings(max_examples=150, deadline=None)
@given(answer=answers, count=st.integers(0, 5))
def test_there_is_always_one_verdict_for_each_position(provider_named, name, answer, count):
    positions = tuple(range(10, 10 + count))
    verdicts = provider_named(name).read_answer(answer, positions)
    assert len(verdicts) == count
    for verdict in verdicts:
        assert isinstance(verdict, Verdict)
        assert_sound(name, answer, verdict)


def assert_sound(name: str, answer: Answer, verdict: Verdict) -> None:
    if isinstance(verdict, TryLater):
        assert verdict.after is None or timedelta(0) <= verdict.after <= timedelta(days=1)
    if isinstance(verdict, DeviceGone):
        assert answer.status != 0
        assert is_documented(name, answer), "a device was called gone without a documented reason"
        assert verdict.since is None or isinstance(verdict.since, datetime)
    if isinstance(verdict, Accepted) and answer.status:
        assert 200 <= answer.status < 300


def is_documented(name: str, answer: Answer) -> bool:
    text = answer.body.decode(errors="replace")
    if name == "webpush":
        return answer.status in {401, 403, 404, 410}
    if name in {"hms", "expo"}:
        return any(reason in text for reason in GONE[name])
    return any(answer.status == status and reason in text for status, reason in GONE[name])


@settings(max_examples=100, deadline=None)
@given(answer=answers, count=st.integers(0, 3))
def test_there_is_always_one_verdict_for_each_ticket(provider_named, answer, count):
    expo = provider_named("expo")
    assert isinstance(expo, GivesTickets)
    verdicts = expo.read_follow_ups(answer, [f"ticket-{n}" for n in range(count)])
    assert len(verdicts) == count
    assert all(isinstance(verdict, Verdict) for verdict in verdicts)


@settings(max_examples=100, deadline=None)
@given(body=bodies)
def test_a_partial_success_that_makes_no_sense_forgets_nobody_unnamed(provider_named, body):
    hms = provider_named("hms")
    [request] = requests(hms, alert_content(), *(a_target("hms", n) for n in range(3)))
    text = body.decode(errors="replace")
    told = json.dumps({"code": "80100000", "msg": text}).encode()
    for verdict in hms.read_answer(Answer(200, {}, told), request.positions):
        assert isinstance(verdict, Accepted)


@settings(max_examples=100, deadline=None)
@given(stamp=st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()))
def test_apples_timestamp_may_be_anything(provider_named, stamp):
    body = json.dumps({"reason": "Unregistered", "timestamp": stamp}).encode()
    [verdict] = provider_named("apns").read_answer(Answer(410, {}, body), (0,))
    assert isinstance(verdict, DeviceGone)
    assert verdict.since is None or verdict.since.tzinfo is UTC
