"""Our own feeds, read strictly: whatever a story says, every reader can take them."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from jsonschema import Draft202012Validator

from service.actions.stories import edit_text
from service.domain.errors import Invalid
from service.domain.story import Story, StoryState, StoryText
from service.settings import Settings
from service.web.formatting import sitemap_language
from service.web.readers.feeds import _json_feed, story_tag, summary_of
from service.web.rendering import Renderer

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
SETTINGS = Settings(
    _env_file=None,
    database_url="postgresql://nobody@127.0.0.1:1/none",
    redis_url="redis://127.0.0.1:1/0",
    secret_key="a secret that only tests know",
    public_url="https://news.example",
    websub_hub="https://hub.example/?a=1&b=2",
)
RENDERER = Renderer(SETTINGS)
JSON_FEED = {
    "type": "object",
    "required": ["version", "title", "items"],
    "properties": {
        "version": {"const": "https://jsonfeed.org/version/1.1"},
        "title": {"type": "string"},
        "hubs": {"type": "array", "items": {"required": ["type", "url"]}},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id"],
                "anyOf": [{"required": ["content_html"]}, {"required": ["content_text"]}],
                "properties": {
                    "id": {"type": "string", "minLength": 1},
                    "url": {"type": "string", "pattern": "^https?://"},
                    "title": {"type": "string"},
                    "content_html": {"type": "string", "minLength": 1},
                    "content_text": {"type": "string", "minLength": 1},
                    "summary": {"type": "string"},
                    "image": {"type": "string"},
                    "date_published": {"type": "string", "pattern": "^\\d{4}-.*(Z|[+-]..:..)$"},
                    "authors": {"type": "array", "items": {"required": ["name"]}},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}
WILD = strategies.text(
    strategies.one_of(
        strategies.characters(),
        strategies.sampled_from("\x00\x0b\x1b\ufffe\uffff\ud800<>&]]>\"'\x85\u2028"),
    ),
    max_size=60,
)
MARKUP = strategies.lists(
    strategies.sampled_from(["<p>", "</p>", "<b>", "]]>", "<![CDATA[", "&#11;", "&lt;", "<img>"])
    | WILD,
    max_size=12,
).map("".join)


def story_of(headline: str, summary: str, body: str, author: str) -> Story | None:
    text = StoryText(headline=headline, summary=summary, body=body, author=author)
    try:
        text = edit_text(text, StoryState.PUBLISHED)
    except Invalid:
        return None
    return Story(
        id=7,
        slug="s",
        version=1,
        state=StoryState.PUBLISHED,
        text=text,
        source_uri=None,
        created_at=NOW,
        updated_at=NOW,
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(WILD, WILD, MARKUP, WILD)
def test_any_story_leaves_every_feed_well_formed(headline, summary, body, author):
    story = story_of(f"h{headline}", summary, f"<p>b</p>{body}", author)
    if story is None:
        return
    common = {"stories": [story], "labels": {}, "topic": None}
    helpers = {"summary_of": summary_of, "story_tag": story_tag}
    rss = RENDERER.text("feed.xml", **common, **helpers)
    channel = ET.fromstring(rss.encode())[0]
    assert channel.findtext("item/guid") == "tag:news.example,2026-03-01:story:7"
    assert channel.findtext("item/title") == story.text.headline
    ET.fromstring(RENDERER.text("sitemap-news.xml", **common).encode())
    Draft202012Validator(JSON_FEED).validate(_json_feed(SETTINGS, [story], None, {}))


def test_a_story_has_one_name_over_http_and_https():
    story = story_of("h", "", "<p>b</p>", "")
    assert story_tag("http://news.example:80", story) == story_tag("https://news.example", story)


def test_our_feeds_name_their_hub():
    helpers = {"summary_of": summary_of, "story_tag": story_tag, "labels": {}, "topic": None}
    rss = RENDERER.text("feed.xml", stories=[], **helpers)
    links = ET.fromstring(rss)[0].findall("{http://www.w3.org/2005/Atom}link")
    assert [link.get("href") for link in links if link.get("rel") == "hub"] == [SETTINGS.websub_hub]
    assert _json_feed(SETTINGS, [], None, {})["hubs"][0]["url"] == SETTINGS.websub_hub


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("en-GB", "en"),
        ("zh", "zh-cn"),
        ("zh-Hans", "zh-cn"),
        ("zh-CN", "zh-cn"),
        ("zh-TW", "zh-tw"),
        ("zh-Hant-HK", "zh-tw"),
        ("zh-HK", "zh-tw"),
        ("pt-BR", "pt"),
    ],
)
def test_the_sitemap_writes_languages_as_google_reads_them(language, code):
    assert sitemap_language(language) == code
