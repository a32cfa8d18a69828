"""Our feeds as a public feed reader and libxml2 read them, after many random stories.

`FEED_STORIES=5000` is the full size.
"""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lxml import etree

from tests.api.conftest import (  # noqa: F401 - fixtures of the site
    app,
    as_ingester,
    client,
    ingester_key,
    make_key,
    settings,
)

pytestmark = pytest.mark.foreign

STORIES = int(os.environ.get("FEED_STORIES", "400"))
FEED_ITEMS = 50
SEED = 14
CREATED = 201
PIECES = (
    "Rain", " ", "&", "<", ">", "]]>", "<![CDATA[", "&amp;", "&#11;", "&#x1F;", "&nbsp;", "\x0b",
    "\x85", "\ufffe", "\uffff", "\u2028", "\u202e", "\u200d", "\U0001f4a9", "\U0010ffff", "\xad",
    "é", "e\u0301", "日本", "مطر", "'", '"', "<b>", "</b>", "<!--", "-->", "<script>", "</title>",
    "%", "{{ x }}", "\\", "\t", "\r\n", "\x00", "&lt;b&gt;", "&copy", "http://a.example/?a=1&b=2",
)  # fmt: skip
MARKUP = (
    "<p>", "</p>", "<h2>", "</h2>", "<ul><li>", "</li></ul>", "<br>", '<a href="/x?a=1&b=2">',
    "</a>", '<img src="https://img.example/a.jpg" alt="&#11;">', '<img src="b.jpg">', "<table>",
    "<iframe src=x>", '<p title="\ufffe">', "<svg><a>", "<math>", "<plaintext", "<em/>",
)  # fmt: skip
LANGUAGES = ("en", "de-AT", "ar", "hi", "zh-Hant-TW", "zh-CN", "pt-BR", "x-private")


def random_story(chance: random.Random) -> dict[str, Any]:
    """Return a story of any characters, as careless systems send them."""

    def text(most: int, pieces: tuple[str, ...] = PIECES) -> str:
        parts = [
            chance.choice(pieces) if chance.random() < 0.8 else chr(chance.randrange(0xD800))
            for _ in range(chance.randrange(1, most))
        ]
        return "".join(parts)

    return {
        "headline": f"h {text(12)}"[:400],
        "summary": text(20)[:2000],
        "body": f"<p>b</p>{text(60, PIECES + MARKUP)}",
        "author": text(6)[:150],
        "language": chance.choice(LANGUAGES),
        "topics": chance.sample(["world", "sport/rowing", "a-b/c"], chance.randrange(3)),
        "image_url": chance.choice([None, "https://img.example/a.jpg?a=1&b=2"]),
    }


@pytest.fixture
def batches(client: TestClient, as_ingester: dict[str, str]) -> Iterator[list[dict[str, Any]]]:  # noqa: F811
    """Batches of as many new stories as a feed holds, each as the API shows them afterwards."""

    def send_batches() -> Iterator[list[dict[str, Any]]]:
        chance = random.Random(SEED)
        for _ in range(0, STORIES, FEED_ITEMS):
            ids: list[str] = []
            while len(ids) < FEED_ITEMS:
                story = random_story(chance)
                answer = client.post("/api/stories", json=story, headers=as_ingester)
                if answer.status_code == CREATED:
                    ids.append(answer.json()["id"])
            yield [client.get(f"/api/stories/{story_id}").json() for story_id in reversed(ids)]

    return send_batches()


def require_feedparser() -> ModuleType:
    return pytest.importorskip("feedparser", reason="no feedparser here (make foreign installs it)")


def lint(document: bytes) -> None:
    """Parse strictly: by the program xmllint where it is here, and by libxml2 in this process."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    etree.fromstring(document, parser)
    program = shutil.which("xmllint")
    if program:
        command = [program, "--noout", "--nonet", "--pedantic", "-"]
        result = subprocess.run(command, input=document, capture_output=True, check=False)
        assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.timeout(3600)
def test_a_feed_reader_and_a_strict_parser_accept_our_feeds_after_random_stories(
    client: TestClient,  # noqa: F811
    batches: Iterator[list[dict[str, Any]]],
) -> None:
    feedparser = require_feedparser()
    number = 0
    for stories in batches:
        rss = client.get("/feed.xml").content
        for document in (rss, client.get("/sitemap-news.xml").content):
            lint(document)
        feed = feedparser.parse(rss, sanitize_html=False, resolve_relative_uris=False)
        assert not feed.bozo, feed.get("bozo_exception")
        assert feed.version == "rss20"
        assert [entry.link.rpartition("/")[2] for entry in feed.entries] == [
            story["slug"] for story in stories
        ]
        assert len({entry.id for entry in feed.entries}) == FEED_ITEMS
        for entry, story in zip(feed.entries, stories, strict=True):
            assert_same(entry, story)
        items = json.loads(client.get("/feed.json").content)["items"]
        assert [item["title"] for item in items] == [story["headline"] for story in stories]
        number += len(stories)
    print(f"\n{number} stories in feeds")
    assert number >= STORIES


def assert_same(entry: Any, story: dict[str, Any]) -> None:
    """What the reader took out of the feed is what the story says."""
    assert entry.title == as_read(story["headline"])
    assert entry.published_parsed is not None
    [content] = [each for each in entry.content if each.type == "text/html"][:1]
    assert content.value == as_read(story["body"].strip())
    assert entry.get("author", "") == as_read(story["author"])


def as_read(text: str) -> str:
    """Return a text as feedparser reads it: what looks like UTF-8 read as Latin-1 it mends."""
    try:
        return text.encode("iso-8859-1").decode("utf-8")
    except UnicodeError:
        return text
