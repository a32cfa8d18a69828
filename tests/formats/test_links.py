import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.links import absolute_link, host_of, identity_of, picture_address

BASE = "https://news.example/world/story.html"


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("/y", "https://news.example/y"),
        ("z.html", "https://news.example/world/z.html"),
        ("//cdn.example/p.png", "https://cdn.example/p.png"),
        (" https://a.example/x\n", "https://a.example/x"),
        ("https://a.example/two words", "https://a.example/two%20words"),
        ("?page=2", "https://news.example/world/story.html?page=2"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://a.example/x", None),
        ("https://user:pass@a.example/", None),
        ("http://", None),
        ("https://a.example:0/", None),
        ("https://a.example:99999/", None),
        ("http://[::1", None),
        ("https://a.example/<script>", None),
        ("", None),
        ("https://a.example/" + "x" * 3000, None),
    ],
)
def test_links_become_absolute_or_nothing(address, link):
    assert absolute_link(address, BASE) == link


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://cdn.example/p.jpg", "https://cdn.example/p.jpg"),
        ("http://cdn.example:80/p.jpg", "https://cdn.example/p.jpg"),
        ("http://cdn.example:8080/p.jpg", None),
        ("https://cdn.example:8443/p.jpg", "https://cdn.example:8443/p.jpg"),
        ("../p.jpg", "https://news.example/p.jpg"),
        ("data:image/png;base64,AA", None),
    ],
)
def test_pictures_are_shown_over_https_or_not_at_all(address, url):
    assert picture_address(address, BASE) == url


def test_a_relative_address_without_a_base_is_none():
    assert absolute_link("/x", None) is None


def test_campaign_parameters_and_fragments_are_no_part_of_a_storys_name():
    link = "https://a.example/s?utm_source=rss&id=7&fbclid=x&utm_medium=y#top"
    assert identity_of(link) == "https://a.example/s?id=7"


def test_a_host_is_compared_without_www():
    assert host_of("https://WWW.News.example/x") == "news.example"
    assert host_of("not a link") == ""


@given(st.text(max_size=80), st.sampled_from([None, BASE, "nonsense"]))
def test_no_text_makes_a_link_that_is_not_http(address, base):
    link = absolute_link(address, base)
    assert link is None or link.startswith(("http://", "https://"))
    url = picture_address(address, base)
    assert url is None or url.startswith("https://")
