"""The demo shows its logins to everybody, so nobody outside may reach it."""

import pytest

from service.demo.system import DemoFailed, require_private_site
from service.domain.network import is_public_host
from service.settings import SettingsError, load


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "::1", "10.1.2.3", "192.168.0.4", "newsdesk", "demo.localhost"],
)
def test_a_host_of_this_machine_or_network_is_not_public(host):
    assert not is_public_host(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "news.org", "News.ORG.", "2606:4700::1", "0x08080808"])
def test_a_host_that_people_outside_reach_is_public(host):
    assert is_public_host(host)


def test_the_demo_refuses_a_public_address_in_one_line(monkeypatch):
    for name, value in {
        "DATABASE_URL": "postgresql://x@127.0.0.1/x",
        "REDIS_URL": "redis://127.0.0.1/0",
        "NEWSZOP_SECRET_KEY": "a secret that only tests know",
        "NEWSZOP_DEMO": "true",
        "NEWSZOP_PUBLIC_URL": "https://news.org",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"^NEWSZOP_DEMO .* NEWSZOP_PUBLIC_URL .*news\.org$"):
        load()
    monkeypatch.setenv("NEWSZOP_DEMO", "false")
    assert load().public_url == "https://news.org"
    with pytest.raises(DemoFailed, match=r"news\.org"):
        require_private_site("https://news.org")
    require_private_site("http://127.0.0.1:8000")
