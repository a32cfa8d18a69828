"""The hot calls answer what the OpenAPI document says, with the headers of the ordinary path."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy.exc import OperationalError

from service.domain import receipt
from service.domain.delivery import State
from service.domain.errors import Unavailable
from service.hot.group_commit import GroupCommit
from service.hot.hot_calls import HotCalls
from service.store.operations import apps
from service.store.session import transaction
from service.web.page_cache import RUSH_PER_S
from tests import builders as a

pytestmark = pytest.mark.usefixtures("providers")
SITE = "https://sport.example"
HEADERS = ({}, {"Origin": SITE}, {"Origin": "https://elsewhere.example"}, {"Cookie": "a=b"})
RECEIPTS, READERS, ME = "/api/receipts", "/api/readers", "/api/me"
FOLLOWS, DEVICES = "/api/me/subscriptions", "/api/me/devices"
SPORT = FOLLOWS + "/sport"
PAGE, FRONT = "/stories/{slug}", "/"


@dataclass(frozen=True)
class HotCall:
    """A call, its path in the document, and what it is answered."""

    method: str
    path: str
    status: int
    body: Any = None
    has_token: bool = True
    route: str = field(default="")


def hot_calls(alert_id: int, secret: str, device: str) -> Iterator[HotCall]:
    """Yield each hot call once for each of its answers, in an order that brings them about."""
    token = receipt.sign(secret.encode(), alert_id, 4, 2, 0)
    item = {"receipt": token, "kind": "shown"}
    phone = {"provider": "apns", "address": device}
    topic = FOLLOWS + "/{topic}"
    yield HotCall("POST", RECEIPTS, 204, item, has_token=False)
    yield HotCall("POST", RECEIPTS, 200, {"items": [item, item | {"receipt": "x"}]}, False)
    yield HotCall("POST", READERS, 201, None, has_token=False)
    yield HotCall("POST", READERS, 201, {"timezone": "Asia/Kolkata"}, has_token=False)
    yield HotCall("GET", ME, 200)
    yield HotCall("GET", FOLLOWS, 200)
    yield HotCall("PUT", SPORT, 201, None, route=topic)
    yield HotCall("PUT", SPORT, 200, {"muted_until": "2027-01-01T00:00:00Z"}, route=topic)
    yield HotCall("GET", FOLLOWS, 200)
    yield HotCall("DELETE", SPORT, 204, route=topic)
    yield HotCall("PUT", DEVICES, 201, phone)
    yield HotCall("PUT", DEVICES, 200, phone)


@pytest.fixture
def alert_id(engine):
    with transaction(engine) as session:
        a.a_topic(session, "sport")
        apps.add(session, apps.App(name="sport", provider="webpush", origins=(SITE,)))
        alert = a.an_alert(session, a.a_story(session), state="sending")
        a.a_batch(session, alert, [State.ACCEPTED] * 3, shard_n=4, n=2)
        return alert.id


@pytest.fixture
def switch(monkeypatch):
    """Notes the hot path's answers, and lets it be turned off."""
    find, count, answers, is_on = HotCalls._find, HotCalls._count, [], [True]

    def count_and_note(self, route, call, status, started_at):
        answers.append((call.scope["method"], route.path, status))
        count(self, route, call, status, started_at)

    monkeypatch.setattr(HotCalls, "_count", count_and_note)
    monkeypatch.setattr(
        HotCalls, "_find", lambda self, scope: find(self, scope) if is_on[0] else None
    )

    def turn(*, on: bool) -> list[tuple[str, str, int]]:
        is_on[0] = on
        answers.clear()
        return answers

    return turn


@pytest.fixture
def make_all(client, alert_id, settings, make_reader):
    """Make every hot call by a new reader, with some headers."""

    def make(headers, device):
        token = make_reader()
        for call in hot_calls(alert_id, settings.secret_key, device):
            sent = headers | (token if call.has_token else {})
            yield call, client.request(call.method, call.path, json=call.body, headers=sent)

    return make


@pytest.fixture
def is_described(client):
    """Check an answer against the OpenAPI document."""
    document = client.get("/openapi.json").json()

    def check(call, answer):
        operation = document["paths"][call.route or call.path][call.method.lower()]
        responses = operation["responses"]
        content = responses.get(str(answer.status_code), responses["default"]).get("content", {})
        if not content:
            assert (answer.content, answer.headers.get("content-type")) == (b"", None)
            return
        schema = content[answer.headers["content-type"]]["schema"]
        Draft202012Validator({**schema, "components": document["components"]}).validate(
            answer.json()
        )

    return check


@pytest.mark.parametrize("headers", HEADERS, ids=["plain", "site", "elsewhere", "cookie"])
def test_hot_answers_are_described_and_have_the_headers_of_the_ordinary_path(
    make_all, switch, is_described, headers
):
    answers = switch(on=True)
    hot = list(make_all(headers, "ab" * 32))
    assert len(answers) == len(hot) + 1, "each was answered on the hot path, and the registration"
    for call, answer in hot:
        assert answer.status_code == call.status, (call, answer.text)
        is_described(call, answer)
    answers = switch(on=False)
    ordinary = list(make_all(headers, "cd" * 32))
    assert answers == []
    for (call, answer), (_, expected) in zip(hot, ordinary, strict=True):
        assert expected.status_code == answer.status_code, call
        assert _comparable(answer) == _comparable(expected), call


def _comparable(answer):
    """Return the headers; ids have more digits or fewer, so a length is compared with the body."""
    headers = dict(answer.headers)
    assert headers.pop("x-request-id")
    if "content-length" in headers:
        assert int(headers.pop("content-length")) == len(answer.content)
    return headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept-Encoding": "gzip"},
        {"Accept-Encoding": "identity"},
        {"Accept-Language": "hi,de;q=0.5", "Cookie": "a=b"},
        {"If-None-Match": "*"},
        {"Authorization": "Bearer x", "X-Request-ID": "a-name"},
    ],
    ids=["plain", "gzip", "identity", "language", "unchanged", "credentials"],
)
@pytest.mark.parametrize("route", [PAGE, FRONT])
def test_a_page_in_a_rush_is_answered_as_ordinarily(app, engine, client, switch, headers, route):
    app.state.hot.pages.clock = lambda: 1000.0
    with transaction(engine) as session:
        path = f"{PAGE.removesuffix('{slug}')}{a.a_story(session).slug}"
        path = path if route == PAGE else FRONT
    for _ in range(RUSH_PER_S + 1):
        ordinary = client.get(path, headers=headers)
    answers = switch(on=True)
    hot = client.get(f"{path}?fbclid=1", headers=headers)
    assert answers == [("GET", route, hot.status_code)]
    assert (hot.status_code, hot.content) == (ordinary.status_code, ordinary.content)
    assert {**hot.headers, "x-request-id": ""} == {**ordinary.headers, "x-request-id": ""}
    answers = switch(on=True)
    client.get(path, headers=headers | {"Cookie": "newszop_staff=x"})
    client.get(f"{FRONT}?before=x", headers=headers)
    assert answers == [], "staff have a page of their own, and older stories are another page"


def test_every_hot_route_is_in_the_comparison(app, alert_id):
    compared = {(call.method, call.route or call.path) for call in hot_calls(1, "s" * 16, "")}
    compared |= {("GET", PAGE), ("GET", FRONT)}
    routes = {(method, route.path) for (method, _), route in app.state.hot.routes.items()}
    assert compared == routes


@pytest.mark.parametrize(
    "error",
    [Unavailable("More calls than we can serve.", 2), OperationalError("", {}, Exception())],
    ids=["full", "postgres away"],
)
def test_a_refusal_for_now_is_described_too(make_all, switch, is_described, monkeypatch, error):
    async def submit(_self, _item, _size=1):
        raise error

    calls = make_all({"Origin": SITE}, "ab" * 32)
    switch(on=True)
    next(calls)
    monkeypatch.setattr(GroupCommit, "submit", submit)
    for call, answer in calls:
        assert answer.status_code == 503, call
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["access-control-allow-origin"] == SITE
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        is_described(call, answer)
