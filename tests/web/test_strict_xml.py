"""Feeds and the news sitemap after any story: well-formed for a parser that forgives nothing."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.web.conftest import SITE, Visitor

MARKS = (
    *("<p>", "</p>", "<b>", "&", "&amp;", "&#0;", "&#x1f;", "&nope;", "]]>", "<![CDATA[", "<!--"),
    *("-->", "<br>", "<svg/onload=x>", "<?xml?>", "\x00", "\ufffe", "\ud7ff"),
)
TEXTS = st.text(min_size=1, max_size=60)
MARKUP = st.lists(
    st.one_of(
        TEXTS,
        st.sampled_from(MARKS),
    ),
    min_size=1,
    max_size=8,
).map("".join)
STORIES = st.fixed_dictionaries(
    {"headline": TEXTS, "body": MARKUP},
    optional={
        "summary": TEXTS,
        "author": TEXTS,
        "language": st.sampled_from(["ar", "hi-IN", "zh-Hant-TW"]),
        "topics": st.just(["world/asia", "food"]),
        "image_url": st.just("https://img.example/a.jpg?x=1&y='2'\""),
    },
)
ENTRIES = 8


def test_any_stories_make_well_formed_feeds(visitor: Visitor, ingest: Any) -> None:
    machine = ingest.machine

    @settings(
        max_examples=8,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STORIES, min_size=ENTRIES, max_size=ENTRIES))
    def read(stories: list[dict[str, Any]]) -> None:
        answers = [machine.post("/api/stories", json=story) for story in stories]
        assert {answer.status_code for answer in answers} <= {201, 422}
        slugs = [answer.json()["slug"] for answer in answers if answer.status_code == 201]
        texts = {path: visitor.get(path).content for path in ("/feed.xml", "/sitemap-news.xml")}
        rss = strict(texts["/feed.xml"])
        assert {f"{SITE}/stories/{slug}" for slug in slugs} <= {
            item.findtext("link") for item in rss.iter("item")
        }
        sitemap = strict(texts["/sitemap-news.xml"])
        assert len(sitemap) >= len(slugs)
        assert is_json_feed(visitor.get("/feed.json").json())
        of_topic = visitor.get("/feed.xml?topic=food")
        if of_topic.status_code == 200:
            strict(of_topic.content)
            assert is_json_feed(visitor.get("/feed.json?topic=food").json())
        read.accepted += len(slugs)

    read.accepted = 0
    read()
    assert read.accepted > ENTRIES


def strict(text: bytes) -> Any:
    """Parse with libxml2, which raises at anything that is not well-formed."""
    return etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))


def is_json_feed(feed: dict[str, Any]) -> bool:
    """Whether it is what JSON Feed 1.1 asks for (jsonfeed.org/version/1.1); raises if it is not."""
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["title"]
    assert all(is_absolute(feed[name]) for name in ("home_page_url", "feed_url", "icon"))
    ids = [item["id"] for item in feed["items"]]
    assert len(ids) == len(set(ids))
    for item in feed["items"]:
        assert isinstance(item["id"], str)
        assert is_absolute(item["url"])
        assert isinstance(item.get("content_html", item.get("content_text")), str)
        for name in item.keys() & {"date_published", "date_modified"}:
            assert datetime.fromisoformat(item[name]).tzinfo
        assert all(isinstance(tag, str) for tag in item.get("tags", []))
        assert all(author["name"] for author in item.get("authors", []))
        assert is_absolute(item.get("image", SITE))
    return True


def is_absolute(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https")
