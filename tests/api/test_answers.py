"""What every answer has: HEAD beside GET, how long it may be kept, what a page may do."""

import base64
import hashlib
import re

import pytest
from fastapi import routing

from service.app import create_app
from service.http.answer_headers import DATA_POLICY, POLICY, SECURITY_HEADERS
from service.http.encodings import accepts_gzip
from service.store.session import transaction
from tests import builders as a
from tests.fuzz.answer_heads import head_faults
from tests.site_client import SiteClient


@pytest.mark.parametrize(
    "path",
    [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/",
        "/login",
        "/feed",
        "/api/stories",
        "/api/topics",
        "/problems/invalid",
        "/service-worker.js",
        "/nothing",
        "/api/me",
    ],
)
def test_a_head_is_answered_as_the_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    for name in ("content-type", "content-length", "cache-control", "location"):
        if path != "/metrics" or name != "content-length":
            assert head.headers.get(name) == get.headers.get(name), name


def test_a_head_of_an_event_stream_ends_with_its_headers(client, as_editor, engine):
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON)
        alert_id = alert.id
    answer = client.head(f"/api/alerts/{alert_id}/events", headers=as_editor)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert client.app.state.alert_watches.watches == {}


def test_a_head_where_only_a_post_is_is_no_method(client):
    answer = client.head("/api/receipts")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("br, *;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("gzipped", False),
        ("gzip;q=nonsense", False),
        ("", False),
    ],
)
def test_a_weight_of_zero_is_a_refusal(header, accepted):
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize("path", ["/css/site.css", "/js/page.js"])
def test_styles_and_scripts_are_compressed_for_those_who_take_it(client, path):
    build = re.search(r"/static/([0-9a-f]+)/", client.get("/").text)[1]
    address = f"/static/{build}{path}"
    plain = client.get(address, headers={"Accept-Encoding": "gzip;q=0"})
    small = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert small.headers["content-type"] == plain.headers["content-type"]
    assert small.content == plain.content
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"])
    again = client.get(address, headers={"If-None-Match": small.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/api/me", "/api/me/devices", "/api/me/subscriptions"])
def test_an_answer_to_a_readers_token_is_kept_by_nobody(client, as_reader, path):
    assert "no-store" in client.get(path, headers=as_reader).headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/api/alerts", "/api/admin/queues", "/api/admin/providers", "/api/admin/dead-letters"]
)
def test_an_answer_to_a_key_is_kept_by_nobody(client, as_admin, path):
    answer = client.get(path, headers=as_admin)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["cache-control"]


def test_an_answer_to_a_cookie_is_kept_by_nobody(client):
    client.cookies.set("newszop_staff", "anything")
    assert "no-store" in client.get("/api/alerts").headers["cache-control"]


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect"])
def test_the_documentation_has_the_headers_of_every_page(client, path):
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    for name in SECURITY_HEADERS.keys() - {"Content-Security-Policy"}:
        assert answer.headers[name] == SECURITY_HEADERS[name]
    [script] = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert re.sub(r" 'sha256-[^']+'", "", policy) == POLICY


def test_with_an_https_address_every_answer_asks_for_tls(settings):
    with SiteClient(create_app(settings)) as client:
        for path in ("/", "/health/live", "/docs", "/nothing", "/api/me"):
            assert client.get(path).headers["strict-transport-security"] == "max-age=31536000"
    plain = settings.model_copy(update={"public_url": "http://news.example"})
    with SiteClient(create_app(plain)) as client:
        assert "strict-transport-security" not in client.get("/").headers


def test_a_fault_of_ours_has_the_head_of_every_answer(app, client):
    @app.get("/api/broken")
    def fail() -> None:
        raise RuntimeError("a fault of ours")

    for answer in (client.get("/api/broken"), client.head("/api/broken")):
        assert answer.status_code == 500
        assert head_faults(answer) == []
        assert answer.headers["content-security-policy"] == DATA_POLICY
        assert "no-store" in answer.headers["cache-control"]


def test_a_preflight_has_the_head_of_every_answer(client):
    asked = {"Origin": "https://site.example", "Access-Control-Request-Method": "GET"}
    answer = client.options("/api/me", headers=asked)
    assert answer.status_code == 204
    assert head_faults(answer) == []


@pytest.mark.parametrize("path", ["/offline", "/docs/start"])
def test_a_page_that_caches_keep_says_nothing_of_its_visitor(client, path):
    plain = client.get(path)
    assert plain.headers["cache-control"].startswith("public")
    assert client.get(path, headers={"Cookie": "newszop_said=Hello%20Ann"}).text == plain.text


def test_no_request_waits_for_routes_to_be_built(settings, monkeypatch):
    with SiteClient(create_app(settings)) as client:
        monkeypatch.delattr(routing, "_populate_api_route_state")
        for path in ("/", "/login", "/api/admin/apps", "/nothing"):
            assert client.get(path).status_code in {200, 401, 404}, path


@pytest.mark.parametrize("moment", ["0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_send_time_beyond_the_calendar_is_a_wrong_field(client, as_editor, engine, moment):
    with transaction(engine) as session:
        story_id = a.a_story(session, state="published").id
    answer = client.post(
        f"/api/stories/{story_id}/alerts", headers=as_editor, json={"send_at": moment}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "send_at"


@pytest.mark.parametrize(
    "path", ["/api/stories", "/api/me", "/nothing", "/feed.xml", "/sitemap-news.xml", "/feed.json"]
)
def test_data_may_do_nothing_in_a_browser(client, path):
    answer = client.get(path)
    assert answer.headers["content-security-policy"] == DATA_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
