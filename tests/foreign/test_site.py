"""The site as other people's parsers read it: feeds in strict XML and JSON, pages by validator."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from tests.web.conftest import (  # noqa: F401 - fixtures of the site
    Visitor,
    admin,
    app,
    editor,
    ingest,
    make_staff,
    providers,
    settings,
    visitor,
)

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("site")]

ROOT = Path(__file__).parents[2]
VALIDATOR = ROOT / ".venv/node/node_modules/vnu-jar/build/dist/vnu.jar"
HOSTILE = "Salt & <pepper> \"quotes\" 'n' \N{UMBRELLA WITH RAIN DROPS} \u202eright to left"
BODY = (
    "<p>First&nbsp;drops &amp; more ]]&gt; here.</p><h2>What next</h2><ul><li>One</li></ul>"
    '<img src="https://img.example/a.jpg"><p><a href="https://news.example/x?a=1&amp;b=2">x</a></p>'
)
STORIES: list[dict[str, Any]] = [
    {"headline": HOSTILE, "summary": HOSTILE, "body": BODY, "author": "A & <B>"},
    {"headline": "مطر أخيراً", "language": "ar", "body": BODY},
    {"headline": "आख़िरकार बारिश", "language": "hi-IN", "image_url": "https://img.example/b.jpg"},
    {"headline": "x" * 200, "language": "zh-Hant-TW", "summary": "s" * 400},
]
NEWS = {
    "s": "http://www.sitemaps.org/schemas/sitemap/0.9",
    "n": "http://www.google.com/schemas/sitemap-news/0.9",
}


@pytest.fixture
def stories(ingest: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: F811
    return [ingest(topics=["world/asia", "food"], **story) for story in STORIES]


def strict_xml(visitor: Visitor, path: str, kind: str) -> Any:  # noqa: F811
    """Parse what the address answers with libxml2, which forgives nothing here."""
    answer = visitor.get(path)
    assert answer.headers["content-type"].partition(";")[0] == kind
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(answer.content, parser)


def is_absolute(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https") and bool(urlsplit(address).netloc)


@pytest.mark.parametrize("query", ["", "?topic=world"])
def test_the_rss_feed_keeps_the_rules_of_rss_2(
    visitor: Visitor,  # noqa: F811
    stories: list[dict[str, Any]],
    query: str,
) -> None:
    rss = strict_xml(visitor, f"/feed.xml{query}", "application/rss+xml")

    assert (rss.tag, rss.get("version")) == ("rss", "2.0")
    [channel] = rss.findall("channel")
    for name in ("title", "link", "description", "lastBuildDate"):
        [element] = channel.findall(name)
        assert element.text
    assert parsedate_to_datetime(channel.findtext("lastBuildDate")).tzinfo
    assert is_absolute(channel.findtext("link"))
    items = channel.findall("item")
    headlines = [story["headline"] for story in STORIES]
    assert [item.findtext("title") for item in items] == headlines[::-1]
    assert len({item.findtext("guid") for item in items}) == len(items)
    for item in items:
        assert parsedate_to_datetime(item.findtext("pubDate")).tzinfo
        assert is_absolute(item.findtext("link"))
        assert item.findtext("description")
        assert item.findtext("{http://purl.org/rss/1.0/modules/content/}encoded")


def test_the_news_sitemap_keeps_googles_rules(
    visitor: Visitor,  # noqa: F811
    stories: list[dict[str, Any]],
) -> None:
    sitemap = strict_xml(visitor, "/sitemap-news.xml", "application/xml")

    assert sitemap.tag == f"{{{NEWS['s']}}}urlset"
    pages = sitemap.findall("s:url", NEWS)
    assert len(pages) == len(stories)
    for page in pages:
        assert is_absolute(page.findtext("s:loc", namespaces=NEWS))
        assert datetime.fromisoformat(page.findtext("s:lastmod", namespaces=NEWS)).tzinfo
        [news] = page.findall("n:news", NEWS)
        assert news.findtext("n:title", namespaces=NEWS)
        assert datetime.fromisoformat(news.findtext("n:publication_date", namespaces=NEWS)).tzinfo
        assert news.findtext("n:publication/n:name", namespaces=NEWS)
    languages = [
        page.findtext("n:news/n:publication/n:language", namespaces=NEWS) for page in pages
    ]
    # "two or three letters, or zh-cn and zh-tw"
    assert all(len(each) in (2, 3) or each in ("zh-cn", "zh-tw") for each in languages)


JSON_FEED: dict[str, type] = {
    "version": str,
    "title": str,
    "home_page_url": str,
    "feed_url": str,
    "description": str,
    "icon": str,
    "favicon": str,
    "language": str,
    "authors": list,
    "items": list,
}
JSON_ITEM: dict[str, type] = {
    "id": str,
    "url": str,
    "external_url": str,
    "title": str,
    "content_html": str,
    "content_text": str,
    "summary": str,
    "image": str,
    "banner_image": str,
    "date_published": str,
    "date_modified": str,
    "authors": list,
    "tags": list,
    "language": str,
    "attachments": list,
}
"""Members and types of JSON Feed 1.1; others begin with an underscore."""


def assert_members(entry: dict[str, Any], members: dict[str, type]) -> None:
    for name, value in entry.items():
        assert name in members or name.startswith("_"), name
        assert isinstance(value, members.get(name, object)), name
        if name.endswith("url") or name in ("icon", "image"):
            assert is_absolute(value), name


def test_the_json_feed_keeps_the_rules_of_version_1_1(
    visitor: Visitor,  # noqa: F811
    stories: list[dict[str, Any]],
) -> None:
    answer = visitor.get("/feed.json")

    assert answer.headers["content-type"].partition(";")[0] == "application/feed+json"
    feed = json.loads(answer.content.decode("utf-8"))
    assert {"version", "title", "items"} <= feed.keys()
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert_members(feed, JSON_FEED)
    assert len({item["id"] for item in feed["items"]}) == len(stories)
    for item in feed["items"]:
        assert "id" in item
        assert item.keys() & {"content_html", "content_text"}
        assert_members(item, JSON_ITEM)
        assert all(isinstance(tag, str) for tag in item["tags"])
        for author in item.get("authors", []):
            assert author.keys() & {"name", "url", "avatar"}
        for name in ("date_published", "date_modified"):
            assert datetime.fromisoformat(item[name]).tzinfo, "RFC 3339"


def require_validator() -> list[str]:
    """Return the command of vnu, the validator of the WHATWG's HTML; skipped without it."""
    java = shutil.which("java")
    jar = Path(os.environ.get("VNU_JAR", VALIDATOR))
    if java is None or not jar.exists():
        pytest.skip("no vnu here (it takes java, and `make foreign` brings the rest by npm)")
    return [java, "-Xss1m", "-jar", str(jar), "--format", "json", "--exit-zero-always"]


def site_pages(stories: list[dict[str, Any]], alert: str) -> dict[str, list[str]]:
    """Return the pages of the site by who opens them."""
    story = f"/desk/stories/{stories[0]['id']}"
    readers = [f"/stories/{each['slug']}" for each in stories]
    listings = ["/", "/topics", "/topics/world", "/topics/food", "/me", "/offline", "/login"]
    desk = ["/desk", "/desk/stories/new", story, f"{story}/revisions", f"{story}/push"]
    office = ["/control", "/control/audit", "/control/people", "/control/topics"]
    return {
        "visitor": [*listings, *readers, "/no-such-page"],
        "editor": [*desk, "/desk/alerts", f"/desk/alerts/{alert}", "/desk/account", readers[0]],
        "admin": ["/desk", *office],
    }


def test_every_page_is_valid_html(
    visitor: Visitor,  # noqa: F811
    editor: Visitor,  # noqa: F811
    admin: Visitor,  # noqa: F811
    ingest: Callable[..., dict[str, Any]],  # noqa: F811
    stories: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    command = require_validator()
    machine = ingest.machine  # type: ignore[attr-defined]
    alert = machine.post(f"/api/stories/{stories[0]['id']}/alerts", json={}).json()["id"]
    people = {"visitor": visitor, "editor": editor, "admin": admin}
    addresses = {}
    pages = tmp_path / "pages"
    pages.mkdir()
    for who, paths in site_pages(stories, alert).items():
        for path in paths:
            answer = people[who].get(path)
            assert answer.status_code == (404 if path == "/no-such-page" else 200), (who, path)
            file = pages / f"page-{len(addresses)}.html"
            file.write_text(answer.text)
            addresses[file.as_uri()] = f"{who} {path}"

    run = subprocess.run(
        [*command, str(pages)], capture_output=True, text=True, check=True, timeout=120
    )

    messages = json.loads(run.stderr)["messages"]
    print(f"\n{len(addresses)} pages, {len(messages)} messages")
    errors = [
        f"{addresses.get(each['url'], each['url'])}:{each.get('lastLine')}: {each['message']}"
        for each in messages
        if each["type"] == "error"
    ]
    assert not errors, "\n".join(errors)
