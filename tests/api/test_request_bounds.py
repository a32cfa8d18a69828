"""What strangers send costs the event loop a moment, and what is too much is refused unread."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service.hot.call import OrdinaryPath
from service.hot.read_body import Deadlines, ReadBody
from service.http import body_limit, problems
from service.http.body_limit import LimitBody
from service.http.limits.body_memory import (
    FREE_BYTES,
    MOST_BYTES_OF_STRANGERS,
    BodyMemory,
)
from tests.fuzz.loop_pauses import watch_pauses
from tests.site_client import SiteClient

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
LONGEST_PAUSE_S = 0.1
KIB = 1024


def unknown_members(size):
    return json.dumps({f"m{n}": 1 for n in range(size // 12)}).encode()


def hostile_calls():
    large, mean = 4 * KIB * KIB - 1000, 60 * KIB
    many_members, members = unknown_members(large), unknown_members(mean)
    few = body_limit.MAX_FORM_VALUES - 2
    part = b"--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n\r\n"
    for path in ("/api/receipts", "/api/readers", "/api/stories", "/me/browser"):
        method = "PUT" if path.startswith("/me") else "POST"
        yield method, path, many_members, JSON
        yield method, path, members, JSON
        yield method, path, b"[" + b"[]," * (mean // 3) + b"[]]", JSON
        yield method, path, b"[" + b",".join([b"9" * 4000] * 15) + b"]", JSON
        yield method, path, b"[" * mean, JSON
        yield method, path, b"[" + b",".join([b"9" * 999] * 60) + b"]", JSON
        yield method, path, json.dumps([{}] * (body_limit.MAX_VALUES - 1)).encode(), JSON
    yield "POST", "/api/receipts", json.dumps({"items": [{"a": 1, "b": 2}] * 500}).encode(), JSON
    for path in ("/login", "/me/follow", "/desk/stories/new"):
        yield "POST", path, b"a&" * (mean // 2), FORM
        yield "POST", path, b"a&" * (large // 2), FORM
        yield "POST", path, b"a=" + b"%41" * (mean // 3), FORM
        yield "POST", path, b"a=b&" * few, FORM
        yield "POST", path, b"&" * few + b"a=" + b"%41" * 5_000, FORM
        yield "POST", path, part * (few // 3) + b"--b--\r\n", MULTIPART
        yield "POST", path, part * 200 + b"--b--\r\n", MULTIPART
    yield "GET", "/api/topics?" + "a&" * 20_000, b"", {}
    yield "GET", "/api/topics", b"", {"Cookie": "a=1; " * 6_000}
    yield "GET", "/topics/" + "a/" * 15_000, b"", {}
    for name in ("Accept-Encoding", "Accept-Language", "If-None-Match", "Range", "Cookie"):
        yield "GET", "/topics/no-such-topic", b"", {name: "a," * 16_000}
    yield "GET", "/topics/no-such-topic", b"", {"Cookie": 'a="' + "\\" * 20_000 + '"'}


@pytest.mark.timeout(120)
def test_the_event_loop_goes_on_while_strangers_post_hostile_bodies(app):
    calls = list(hostile_calls())
    with SiteClient(app, raise_server_exceptions=False, client=("203.0.113.7", 1)) as client:

        def post(call):
            method, path, content, headers = call
            return client.request(method, path, content=content, headers=headers).status_code

        with watch_pauses(client) as pauses, ThreadPoolExecutor(2) as threads:
            statuses = list(threads.map(post, calls))
    assert all(200 <= status < 500 for status in statuses), statuses
    assert pauses.longest < LONGEST_PAUSE_S


def test_a_problem_tells_twenty_errors_and_how_many_more_there_are(client, as_admin):
    ids = ["no id"] * 300
    answer = client.post("/api/admin/dead-letters/replay", json={"ids": ids}, headers=as_admin)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == problems.MAX_ERRORS
    assert "280 more" in answer.json()["detail"]


def test_a_flood_of_members_is_one_error(client):
    answer = client.post("/api/receipts", json={f"m{n}": n for n in range(1500)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1
    assert len(answer.content) < KIB


def test_the_name_of_an_unknown_member_is_cut(client):
    answer = client.post("/api/receipts", json={"n" * 50_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 2 * KIB


def test_a_list_is_measured_before_its_items_are_read(client, as_ingester):
    story = {"headline": "h", "body": "b", "topics": [1] * 150_000}
    answer = client.post("/api/stories", json=story, headers=as_ingester)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "topics", "detail": "At most 50; these are 150,000."}
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
        ("", {"Accept-Encoding": "a, " * (body_limit.MAX_HEADER_VALUES + 1)}, 431),
        ("", {"Accept-Language": "a;q=1, " * (body_limit.MAX_HEADER_VALUES // 2 + 1)}, 431),
        ("/" + "x" * body_limit.MAX_PATH, {}, 414),
        ("?" + "&".join(f"utm_{n}=x" for n in range(20)), {"Cookie": "a=1,2; " * 200}, 200),
    ],
)
def test_an_address_and_headers_are_measured_before_they_are_read(client, query, headers, status):
    answer = client.get(f"/api/topics{query}", headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["status"] == status


def a_head(**headers):
    items = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "headers": items}


def cookies_of(text):
    return Request(body_limit.with_own_cookies(a_head(accept="*/*", cookie=text))).cookies


def test_of_the_cookies_on_a_host_only_ours_are_read():
    assert cookies_of('_ga=1; newszop_staff=a; x="b,c"; newszop_said="a%20b"') == {
        "newszop_staff": "a",
        "newszop_said": "a%20b",
    }


@pytest.mark.parametrize("name", ["_ga", "newszop_staff"])
@pytest.mark.parametrize("escape", ["\\", "\\0", '\\"'])
def test_a_cookie_of_escapes_costs_nothing(name, escape):
    began = time.process_time()
    cookies = cookies_of(f'{name}="' + escape * (30 * KIB // len(escape)) + '"; newszop_reader=r')
    assert cookies == {"newszop_reader": "r"}
    assert time.process_time() - began < 0.05


def test_a_request_with_a_cookie_of_others_only_still_has_one():
    head = body_limit.with_own_cookies(a_head(cookie="_ga=1"))
    assert head["headers"] == [(b"cookie", b"")]


def test_runs_of_digits_just_below_the_limit_cost_nothing():
    text = b",".join([b"9" * (body_limit.MOST_DIGITS - 1)] * 4_000)
    began = time.process_time()
    assert not body_limit.has_long_number(text)
    assert body_limit.has_long_number(text + b"9")
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        (json.dumps({"headline": "h", "body": '<a title="x">, </a>' * 5_000}), True),
        (json.dumps({f"m{n}": 1 for n in range(body_limit.MAX_STORY_TEXTS + 1)}), False),
        (json.dumps(dict.fromkeys(map(str, range(300_000)))), False),
    ],
    ids=["a body with much markup", "many members", "very many"],
)
def test_a_storys_names_and_texts_are_counted_and_not_its_words(
    client, as_ingester, text, is_taken
):
    answer = client.post("/api/stories", content=text, headers=as_ingester | JSON)
    assert answer.status_code == (201 if is_taken else 413), answer.text[:300]


def receive_parts(parts):
    """Return what receives a body in these parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    return iter([*messages, {"type": "http.request", "body": b"", "more_body": False}])


async def take_body(limit, parts, path="/api/hooks/source", *, known=False):
    """Receive a body as the application behind `limit` does; return the refusal's status, or 0."""
    messages, statuses = receive_parts(parts), []

    async def application(_scope, receive, _send):
        try:
            while (await receive())["more_body"]:
                pass
        except HTTPException as refusal:
            statuses.append(refusal.status_code)
        await held.wait()

    async def is_known(_scope):
        return known

    held = asyncio.Event()
    limit.app, limit.is_known = application, is_known

    async def receive():
        return next(messages)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    task = asyncio.create_task(limit(scope, receive, None))
    for _ in range(len(parts) * 4 + 10):
        await asyncio.sleep(0)
    return (statuses or [0])[0], held, task


def test_a_body_in_a_thousand_crumbs_is_refused_and_one_in_packets_is_not():
    async def main():
        limit = LimitBody(None, None)
        for parts, status in (([b" "] * 1_010, 413), ([b" " * 536] * 1_500, 0)):
            refusal, held, task = await take_body(limit, parts)
            assert refusal == status
            held.set()
            await task

    asyncio.run(main())


def test_strangers_bodies_have_a_bound_together_and_refuse_only_large_ones():
    async def main():
        limit, tasks = LimitBody(None, None), []
        for _ in range(MOST_BYTES_OF_STRANGERS // 2**20):
            refusal, held, task = await take_body(limit, [b" " * 2**20])
            assert refusal == 0
            tasks.append((held, task))
        tasks.append((await take_body(limit, [b" " * 2**20]))[1:])
        for size, known, path, status in (
            (2**20, False, "/api/hooks/source", 503),
            (FREE_BYTES, False, "/api/me/devices", 0),
            (2**20, True, "/api/stories", 0),
            (2 * FREE_BYTES, True, "/api/stories", 0),
            (2 * FREE_BYTES, False, "/api/stories", 503),
        ):
            refusal, held, task = await take_body(limit, [b" " * size], path, known=known)
            assert refusal == status
            tasks.append((held, task))
        for held, task in tasks:
            held.set()
            await task
        assert limit.memory.strangers == limit.memory.known == 0

    asyncio.run(main())


def test_a_hot_call_whose_body_has_no_room_goes_the_ordinary_path_with_all_of_it():
    async def read(memory):
        parts, held = [b" " * 1_000, b" " * 20_000], []
        messages = receive_parts(parts)

        async def receive():
            held.append(memory.strangers)
            return next(messages)

        body, text = ReadBody(receive, Deadlines(), memory), None
        with suppress(OrdinaryPath):
            text = await body.read({b"content-length": b"21000"})
        replayed = [(await body.replay())["body"] for _ in parts]
        assert replayed == parts
        return text, held

    memory = BodyMemory()
    text, held = asyncio.run(read(memory))
    assert text == b" " * 21_000
    assert held == [0] + [21_000 - FREE_BYTES] * 2
    memory.strangers = MOST_BYTES_OF_STRANGERS
    text, held = asyncio.run(read(memory))
    assert text is None
    assert memory.strangers == MOST_BYTES_OF_STRANGERS
