"""Who calls through proxies: what is believed, and what is counted by it."""

import time
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.app import create_app
from service.http.forwarded import (
    TrustProxies,
    counted_address,
    find_caller,
    is_trusted,
    read_address,
)
from service.settings import SettingsError, load
from tests.site_client import SiteClient

PROXY = "10.0.0.2"
NETWORKS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def caller(peer=PROXY, **headers):
    """Return the address and scheme that an application sees."""
    seen = {}

    async def application(scope, _receive, _send):
        seen.update(scope)

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 4000),
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }
    run = TrustProxies(application, NETWORKS)(scope, None, None)
    with pytest.raises(StopIteration):
        run.send(None)
    return seen["client"][0], seen["scheme"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_forwarded_for": "203.0.113.9"}, "203.0.113.9"),
        ({"x_forwarded_for": "1.2.3.4, 203.0.113.9"}, "203.0.113.9"),
        ({"x_forwarded_for": "1.2.3.4, 203.0.113.9, 10.0.0.3"}, "203.0.113.9"),
        ({"x_forwarded_for": "203.0.113.9:1234"}, "203.0.113.9"),
        ({"x_forwarded_for": "::ffff:203.0.113.9"}, "203.0.113.9"),
        ({"x_forwarded_for": "2001:DB8:0::1"}, "2001:db8::1"),
        ({"x_forwarded_for": "[2001:db8::1]:443"}, "2001:db8::1"),
        ({"x_forwarded_for": "1.2.3.4, nonsense"}, PROXY),
        ({"x_forwarded_for": "1.2.3.4, unknown, 10.0.0.3"}, "10.0.0.3"),
        ({"x_forwarded_for": "10.0.0.4, 10.0.0.3"}, "10.0.0.4"),
        ({"forwarded": "for=203.0.113.9;proto=https;by=10.0.0.2"}, "203.0.113.9"),
        ({"forwarded": 'for=1.2.3.4, For="[2001:db8:cafe::17]:4711"'}, "2001:db8:cafe::17"),
        ({"forwarded": 'for="1.2.3.4, for=5.6.7.8", for=203.0.113.9'}, "203.0.113.9"),
        ({"forwarded": "for=1.2.3.4, for=_hidden"}, PROXY),
        ({"forwarded": "for=203.0.113.9", "x_forwarded_for": "203.0.113.9"}, "203.0.113.9"),
        ({"forwarded": "for=1.2.3.4", "x_forwarded_for": "203.0.113.9"}, PROXY),
        ({}, PROXY),
    ],
    ids=str,
)
def test_a_trusted_proxy_names_the_caller(headers, expected):
    assert caller(**headers)[0] == expected


def test_nobody_else_names_a_caller_or_a_scheme():
    headers = {"x_forwarded_for": "1.2.3.4", "forwarded": "for=1.2.3.4"}
    assert caller("203.0.113.1", x_forwarded_proto="https", **headers) == ("203.0.113.1", "http")


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({"x_forwarded_proto": "https"}, "https"),
        ({"x_forwarded_proto": "http, https"}, "https"),
        ({"x_forwarded_proto": "javascript"}, "http"),
        ({"forwarded": "for=1.2.3.4;proto=https"}, "https"),
    ],
    ids=str,
)
def test_a_trusted_proxy_names_the_scheme(headers, scheme):
    assert caller(**headers)[1] == scheme


@given(st.lists(st.text(max_size=40), max_size=6), st.ip_addresses(v=4))
def test_whatever_a_caller_writes_left_of_its_address_changes_nothing(forged, address):
    if is_trusted(str(address), NETWORKS):
        return
    chain = [*",".join(forged).split(","), str(address)]
    assert find_caller(PROXY, [chain], NETWORKS) == str(address)


@given(st.text(max_size=100))
def test_any_header_is_read_without_an_error(text):
    read_address(text)
    printable = text.encode("ascii", "ignore").decode()
    caller(forwarded=printable, x_forwarded_for=printable, x_forwarded_proto=printable)


def test_a_forwarded_header_full_of_quotes_is_read_at_once():
    assert caller(forwarded='"\\' * 30_000)[0] == PROXY


def test_an_ipv6_caller_is_counted_by_its_network():
    assert counted_address("2001:db8:1:2:3::4") == counted_address("2001:db8:1:2:ffff::1")
    assert counted_address("2001:db8:1:2::4") != counted_address("2001:db8:1:3::4")
    assert counted_address("::ffff:203.0.113.9") == "203.0.113.9"
    assert [counted_address(own) for own in ("::1", "::ffff:127.0.0.1")] == ["::1", "127.0.0.1"]


@pytest.fixture
def proxied(settings):
    """The application behind a proxy on this machine; calls it for one caller after another."""
    values = {"trusted_proxies": (ip_network("127.0.0.0/8"),), "registrations_per_minute": 3}
    with SiteClient(
        create_app(settings.model_copy(update=values)), client=("127.0.0.1", 1)
    ) as client:
        yield client


def test_behind_a_proxy_registrations_are_limited_by_caller(proxied):
    def register(address):
        return proxied.post("/api/readers", headers={"X-Forwarded-For": address}).status_code

    assert [register("203.0.113.1") for _ in range(4)] == [201, 201, 201, 429]
    assert register("1.2.3.4, 203.0.113.1") == 429
    assert register("203.0.113.2") == 201
    assert [register(f"2001:db8::{n}") for n in range(4)] == [201, 201, 201, 429]


def test_a_proxy_on_this_machine_that_nobody_named_lifts_no_limit(settings):
    app = create_app(settings.model_copy(update={"registrations_per_minute": 3}))
    with SiteClient(app, client=("127.0.0.1", 1)) as client:
        headers = {"X-Forwarded-For": "203.0.113.1"}
        answers = [client.post("/api/readers", headers=headers).status_code for _ in range(4)]
    assert answers == [201, 201, 201, 429]


@pytest.mark.parametrize("junk", ['"\\' * 2_000, '"' * 4_001, 'for="\\', ';for="a\\"' * 900])
def test_quotes_and_escapes_of_a_caller_cost_nothing_and_hide_no_proxy(junk):
    began = time.process_time()
    for _ in range(20):
        seen = caller(forwarded=f"{junk}, for=203.0.113.9")
    assert seen[0] == "203.0.113.9"
    assert time.process_time() - began < 0.1


def test_a_setting_that_is_no_network_stops_the_start(monkeypatch, settings):
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("NEWSZOP_SECRET_KEY", settings.secret_key)
    monkeypatch.setenv("NEWSZOP_TRUSTED_PROXIES", "10.0.0.1, fd00::/8")
    assert [str(network) for network in load().trusted_proxies] == ["10.0.0.1/32", "fd00::/8"]
    monkeypatch.setenv("NEWSZOP_TRUSTED_PROXIES", "10.0.0.1, the proxy")
    with pytest.raises(SettingsError, match=r"NEWSZOP_TRUSTED_PROXIES: .*the proxy"):
        load()


@pytest.mark.parametrize(
    ("path", "target"),
    [("/desk/", "/desk"), ("/desk//?a=b", "/desk?a=b"), ("/api/topics/", "/api/topics")],
)
def test_a_slash_too_many_leads_to_a_path_and_to_no_host(client, path, target):
    answer = client.get(path, headers={"Host": "evil.example"}, follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == target


@pytest.mark.parametrize("path", ["/nothing/", "/api/receipts/"])
def test_other_addresses_with_a_slash_lead_nowhere(client, path):
    assert client.get(path, follow_redirects=False).status_code in (404, 405)


def test_a_405_names_every_method_of_its_address(client):
    answer = client.put("/api/me")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"
