"""Web Push endpoints are hostile input: what each gets at registration."""

import re
from ipaddress import ip_address

import pytest

from service.domain.network import host_as_address, is_public_address
from workers.provider_kit.endpoints import KNOWN_PUSH_SERVICES, AllowList, EndpointRefused

KNOWN = AllowList.parse(KNOWN_PUSH_SERVICES)
OPEN = AllowList.parse(["*"])


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%2b%3d",
        "https://web.push.apple.com/QGuQ",
        "https://fcm.googleapis.com:443/fcm/send/abc",
        "HTTPS://FCM.GoogleAPIs.com/fcm/send/abc",
    ],
)
def test_the_known_push_services_are_taken(endpoint):
    assert KNOWN.check_endpoint(endpoint).startswith("https://")


@pytest.mark.parametrize(
    ("entries", "endpoint", "known"),
    [
        (KNOWN_PUSH_SERVICES, "https://fcm.googleapis.com/x", True),
        (["*"], "https://fcm.googleapis.com/x", True),
        (["*"], "https://updates.push.services.mozilla.com/x", True),
        (["*"], "https://push.example.com/x", False),
        (["*"], "https://fcm.googleapis.com.evil.example/x", False),
        (["*", "push.example.com"], "https://push.example.com/x", True),
        (["*", "127.0.0.1:8443"], "https://127.0.0.1:8443/x", True),
        (["*", "127.0.0.1:8443"], "https://127.0.0.1:9443/x", False),
    ],
)
def test_an_open_list_makes_no_server_known_that_nobody_named(entries, endpoint, known):
    allowed = AllowList.parse(entries)
    assert allowed.is_known_server(endpoint) is known
    assert bool(re.match(allowed.pattern(), endpoint)) is known


def test_an_endpoint_has_one_spelling():
    assert KNOWN.check_endpoint("HTTPS://FCM.googleapis.COM:443/Send/ABC") == (
        "https://fcm.googleapis.com/Send/ABC"
    )
    assert OPEN.check_endpoint("https://push.example.com") == "https://push.example.com/"
    assert OPEN.check_endpoint("https://push.example.com?a=b") == "https://push.example.com/?a=b"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://push.services.mozilla.com/x",
        "https://evil.example/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://notify.windows.com.evil.example/",
        "https://93.184.215.14/",
    ],
)
def test_a_host_that_is_not_listed_is_refused(endpoint):
    with pytest.raises(EndpointRefused, match="none of the push services"):
        KNOWN.check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "fcm.googleapis.com/x",
        "http://push.example.com/x",
        "ftp://push.example.com/x",
        "//push.example.com/x",
        "https:push.example.com",
        "https:///x",
        "https://push.example.com:8443/x",
        "https://push.example.com:80/x",
        "https://push.example.com:99999/x",
        "https://push.example.com:/x",
        "https://user@push.example.com/x",
        "https://user:secret@push.example.com/x",
        "https://push.example.com\\@10.0.0.1/x",
        "https://10.0.0.1\\@push.example.com/x",
        "https://push.example.com/x#fragment",
        "https://push.example.com/a b",
        "https://push.example.com/\r\nhost: x",
        "https://push.exa\tmple.com/x",
        "https://push.example.com/é",
        "https://push%2eexample.com/x",
        "https://\uff50\uff55sh.example.com/x",
        "https://push.example.com./x",
        "https://push/x",
        "https://localhost/x",
        "https://push.localhost/x",
        "https://metadata.google.internal/x",
        "https://printer.local/x",
        "https://-push.example.com/x",
        "https://push..example.com/x",
        "https://[::1/x",
        "https://push.example.com/" + "x" * 2048,
    ],
)
def test_with_the_list_opened_only_https_on_443_at_a_public_name_passes(endpoint):
    with pytest.raises(EndpointRefused) as refused:
        OPEN.check_endpoint(endpoint)
    assert "push.example" not in str(refused.value)


PRIVATE_SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "0x0",
    "10.1.2.3",
    "0xa.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "192.168.257",
    "3232235777",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2001:0:53aa:64c::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[ff02::1]",
    "[fec0::1]",
    "[100::1]",
]


@pytest.mark.parametrize("host", PRIVATE_SPELLINGS)
def test_no_spelling_of_a_private_address_is_taken(host):
    with pytest.raises(EndpointRefused):
        OPEN.check_endpoint(f"https://{host}/x")


@pytest.mark.parametrize("host", PRIVATE_SPELLINGS)
def test_every_spelling_of_a_private_address_is_understood_and_judged_alike(host):
    address = host_as_address(host)
    assert address is not None
    assert not is_public_address(str(address))


@pytest.mark.parametrize(
    "host",
    ["134744072", "0x08080808", "010.8.8.8", "8.2056", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]"],
)
def test_a_public_address_in_disguise_is_refused_for_the_disguise(host):
    with pytest.raises(EndpointRefused):
        OPEN.check_endpoint(f"https://{host}/x")


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:4700::1111]"])
def test_a_public_address_in_plain_spelling_passes_when_the_list_is_open(host):
    assert OPEN.check_endpoint(f"https://{host}/x") == f"https://{host}/x"


@pytest.mark.parametrize(
    "ip", ["8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.128.0.1"]
)
def test_public_addresses_are_public(ip):
    assert is_public_address(ip)
    assert is_public_address(f"::ffff:{ip}")
    assert is_public_address(f"64:ff9b::{ip}")


@pytest.mark.parametrize(
    "text", ["", "example.com", "1.2.3.4.5", "256.0.0.1", "0x1g", "1.2.3.4.5.6", "08.0.0.1"]
)
def test_what_is_no_address_is_taken_for_a_name(text):
    assert host_as_address(text) is None
    assert not is_public_address(text)


def test_pythons_own_opinion_is_never_wider_than_ours():
    for block in ("0.0.0.1", "10.0.0.1", "127.0.0.1", "169.254.0.1", "192.168.0.1", "240.0.0.1"):
        assert not ip_address(block).is_global
        assert not is_public_address(block)


def test_an_entry_with_a_port_is_taken_as_it_stands():
    allowed = AllowList.parse(["127.0.0.1:8443", "localhost:9443", "[::1]:7443", "push.lan:443"])
    for place in ("127.0.0.1:8443", "localhost:9443", "[::1]:7443"):
        assert allowed.check_endpoint(f"https://{place}/wp/1") == f"https://{place}/wp/1"
    assert allowed.check_endpoint("https://push.lan/wp") == "https://push.lan/wp"
    assert allowed.has_pair("LOCALHOST", 9443)
    assert allowed.has_pair("::1", 7443)
    assert not allowed.has_pair("localhost", 443)
    for place in ("127.0.0.1", "127.0.0.1:8444", "localhost", "127.1:8443"):
        with pytest.raises(EndpointRefused):
            allowed.check_endpoint(f"https://{place}/wp/1")


def test_a_private_host_without_a_port_is_refused_though_it_is_listed():
    with pytest.raises(EndpointRefused):
        AllowList.parse(["127.0.0.1"]).check_endpoint("https://127.0.0.1/x")


@pytest.mark.parametrize(
    "entry", ["", "*:8443", "*.example.com:1", "a b", "https://x.example", "x/y", "**", "x:y"]
)
def test_a_malformed_entry_is_refused(entry):
    with pytest.raises(ValueError, match="not a host"):
        AllowList.parse([entry])
