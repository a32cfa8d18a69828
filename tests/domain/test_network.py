"""The origin of a URL. Which addresses are public is tested with the guard that asks for it."""

import pytest

from service.domain.network import authority_of, origin_of


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        (
            "https://push.example.com/a/b?c=https://d/",
            "https://push.example.com",
            "push.example.com",
        ),
        ("https://localhost:8443/a", "https://localhost:8443", "localhost:8443"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("http://a/b", "http://a", "a"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("null", "null", ""),
        ("", "", ""),
    ],
)
def test_the_origin_ends_where_the_path_begins(url, origin, authority):
    assert origin_of(url) == origin
    assert authority_of(url) == authority
