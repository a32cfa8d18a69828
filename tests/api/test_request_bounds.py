"""What strangers send costs the event loop a moment, and what is too much is refused unread."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.http import body_limit, problems
from tests.fuzz.loop_pauses import watch_pauses
from tests.site_client import SiteClient

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LONGEST_PAUSE_S = 0.1
KIB = 1024


def unknown_members(size):
    return json.dumps({f"m{n}": 1 for n in range(size // 12)}).encode()


def hostile_calls():
    large, mean = 4 * KIB * KIB - 1000, 60 * KIB
    for path in ("/api/receipts", "/api/readers", "/api/stories", "/me/browser"):
        method = "PUT" if path.startswith("/me") else "POST"
        yield method, path, unknown_members(large), JSON
        yield method, path, unknown_members(mean), JSON
        yield method, path, b"[" + b"[]," * (mean // 3) + b"[]]", JSON
        yield method, path, b"[" + b",".join([b"9" * 4000] * 15) + b"]", JSON
        yield method, path, b"[" * mean, JSON
    for path in ("/login", "/me/follow", "/desk/stories/new"):
        yield "POST", path, b"a&" * (mean // 2), FORM
        yield "POST", path, b"a&" * (large // 2), FORM
        yield "POST", path, b"a=" + b"%41" * (mean // 3), FORM
    yield "GET", "/api/topics?" + "a&" * 20_000, b"", {}
    yield "GET", "/api/topics", b"", {"Cookie": "a=1; " * 6_000}


@pytest.mark.timeout(120)
def test_the_event_loop_goes_on_while_strangers_post_hostile_bodies(app):
    calls = list(hostile_calls())
    with SiteClient(app, raise_server_exceptions=False, client=("203.0.113.7", 1)) as client:

        def post(call):
            method, path, content, headers = call
            return client.request(method, path, content=content, headers=headers).status_code

        with watch_pauses(client) as pauses, ThreadPoolExecutor(2) as threads:
            statuses = list(threads.map(post, calls))
    assert all(400 <= status < 500 for status in statuses), statuses
    assert pauses.longest < LONGEST_PAUSE_S


def test_a_problem_tells_twenty_errors_and_how_many_more_there_are(client, as_admin):
    ids = ["no id"] * 300
    answer = client.post("/api/admin/dead-letters/replay", json={"ids": ids}, headers=as_admin)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == problems.MAX_ERRORS
    assert "280 more" in answer.json()["detail"]


def test_a_flood_of_members_is_one_error(client):
    answer = client.post("/api/receipts", json={f"m{n}": n for n in range(3000)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1
    assert len(answer.content) < KIB


def test_the_name_of_an_unknown_member_is_cut(client):
    answer = client.post("/api/receipts", json={"n" * 50_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 2 * KIB


def test_a_list_is_measured_before_its_items_are_read(client, as_ingester):
    story = {"headline": "h", "body": "b", "topics": [1] * 300_000}
    answer = client.post("/api/stories", json=story, headers=as_ingester)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "topics", "detail": "At most 50; these are 300,000."}
    ]


@pytest.mark.parametrize(
    "path", ["/api/receipts", "/api/readers", "/api/admin/dead-letters/replay"]
)
def test_a_body_outside_stories_has_64_kib_whoever_sends_it(client, as_admin, path):
    content = b" " * (64 * KIB + 1)
    answer = client.post(path, content=content, headers=as_admin | JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "65,536 bytes" in answer.json()["detail"]


def test_a_story_of_a_stranger_is_refused_before_it_is_read(app, client):
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b" " * KIB * KIB, "more_body": True}

    answer = client.portal.call(post_story, app, receive, {})
    assert answer == 401
    assert len(read) == 1
    announced = {"content-length": str(KIB * KIB)}
    assert client.portal.call(post_story, app, receive, announced) == 401
    assert len(read) == 1


async def post_story(app, receive, headers):
    statuses = []

    async def send(message):
        statuses.append(message.get("status"))

    given = {"content-type": "application/json"} | headers
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/stories",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    await app(scope, receive, send)
    return statuses[0]


def test_a_known_sender_may_send_a_whole_story(client, as_ingester):
    story = {"headline": "h", "body": "word, " * 150_000}
    answer = client.post("/api/stories", json=story, headers=as_ingester)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?a=" + "x" * body_limit.MAX_QUERY_BYTES, {}, 414),
        ("?" + "a&" * body_limit.MAX_QUERY_VALUES, {}, 414),
        ("", {"X-Long": "x" * body_limit.MAX_HEADER_BYTES}, 431),
        ("", {"Cookie": "a=1; " * body_limit.MAX_COOKIES}, 431),
        ("?" + "&".join(f"utm_{n}=x" for n in range(20)), {"Cookie": "a=1; " * 200}, 200),
    ],
)
def test_an_address_and_headers_are_measured_before_they_are_read(client, query, headers, status):
    answer = client.get(f"/api/topics{query}", headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["status"] == status
