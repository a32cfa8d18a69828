import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import TooLarge
from service.formats import web_page
from service.formats.incoming import IncomingStory, MalformedDocument, Picture, Subject
from service.formats.news_article import find_news_article
from service.formats.web_page import discover_feeds, read_page

ADDRESS = "https://www.news.example/world/storm?utm_source=x"
JSON_LD = {
    "@context": "https://schema.org",
    "@graph": [
        {"@type": "WebSite", "name": "News"},
        {
            "@type": ["NewsArticle"],
            "headline": "Storm closes Smith &amp; Sons",
            "description": "The harbour.",
            "datePublished": "2026-11-28T10:00:00+01:00",
            "dateModified": "2026-11-28T09:30:00Z",
            "inLanguage": "en-GB",
            "author": [{"@type": "Person", "name": "Ann"}, "Bob"],
            "image": {
                "@type": "ImageObject",
                "url": "/i.jpg",
                "width": 1600,
                "height": {"value": 900},
                "caption": "The wall",
            },
            "articleSection": "Weather",
            "keywords": "harbour, ports",
        },
    ],
}
BODY = "<p>" + "Many words about the storm. " * 12 + "</p>"
PAGE = f"""<!doctype html><html lang="en-US"><head><meta charset="utf-8">
<title>Storm | News</title>
<link rel="canonical" href="/world/storm"><link rel="alternate" type="application/rss+xml"
  href="/feed.xml"><link rel="alternate" hreflang="de" href="/de">
<meta property="og:site_name" content="News"><meta property="og:title" content="OG title">
<meta property="og:image" content="http://cdn.example/og.jpg">
<meta property="og:image:width" content="1200"><meta property="og:image:alt" content="A wall">
<meta property="article:tag" content="Sea">
<script type="application/ld+json">{{broken</script>
<script type="application/ld+json">{json.dumps(JSON_LD)}</script></head>
<body><nav>Menu</nav><article class="teaser"><p>Short</p></article>
<article><header>By Ann</header><h1>Storm closes Smith &amp; Sons</h1>{BODY}
<figure><img data-src="p.jpg" alt="P"></figure><aside>Read more</aside><form>Subscribe</form>
<script>x()</script><p onclick="x" aria-hidden="true">Hidden</p></article></body></html>"""
OPEN_GRAPH = """<html><head><title>Storm - News</title>
<meta property="og:site_name" content="News"><meta property="og:description" content="The harbour.">
<meta property="og:locale" content="en_GB"><meta name="author" content="Ann">
<meta property="article:published_time" content="2026-11-28T10:00:00Z">
<meta property="article:section" content="Weather"></head><body><p>Menu</p></body></html>"""


def page(text, **options) -> IncomingStory:
    return read_page(text.encode(), address=ADDRESS, **options)


def test_every_field_of_a_news_page_arrives():
    story = page(PAGE, aliases={"weather": "weather"})
    pictures = (
        Picture(url="https://cdn.example/og.jpg", alt="A wall", width=1200),
        Picture(
            url="https://www.news.example/i.jpg",
            alt="The wall",
            caption="The wall",
            width=1600,
            height=900,
        ),
    )
    assert story == IncomingStory(
        uri="https://www.news.example/world/storm",
        headline="Storm closes Smith & Sons",
        summary="The harbour.",
        body=story.body,
        language="en-GB",
        author="Ann, Bob",
        subjects=(
            Subject("", "Weather"),
            Subject("", "harbour"),
            Subject("", "ports"),
            Subject("", "Sea"),
        ),
        topics=("weather",),
        image=pictures[0],
        pictures=pictures,
        published_at=datetime(2026, 11, 28, 9, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        link="https://www.news.example/world/storm",
    )


def test_the_text_is_the_article_without_what_surrounds_it():
    body = page(PAGE).body
    assert body.startswith("<p>Many words")
    assert '<img src="https://www.news.example/world/p.jpg" alt="P">' in body
    for clutter in ("Menu", "Short", "By Ann", "Read more", "Subscribe", "x()", "Hidden"):
        assert clutter not in body


def test_open_graph_speaks_where_there_is_no_json_ld():
    story = page(OPEN_GRAPH)
    assert (story.headline, story.summary, story.author) == ("Storm", "The harbour.", "Ann")
    assert (story.language, story.body) == ("en-GB", "<p>The harbour.</p>")
    assert story.published_at == datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert story.subjects == (Subject("", "Weather"),)


def test_article_body_stands_in_for_a_page_drawn_by_a_program():
    ld = {"@type": "NewsArticle", "headline": "H", "articleBody": "One.\n\nTwo."}
    script = f'<script type="application/ld+json">{json.dumps([ld])}</script>'
    story = page(f"<html><head>{script}</head><body><div id=app></div></body></html>")
    assert story.body == "<p>One.</p>\n<p>Two.</p>"


def test_a_canonical_address_of_another_host_is_not_believed():
    text = PAGE.replace('href="/world/storm"', 'href="https://other.example/x"')
    assert page(text).uri == "https://www.news.example/world/storm"
    assert page(text).link == ADDRESS


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251", "utf-16"])
def test_a_page_is_read_in_its_own_encoding(encoding):
    text = f'<html><head><meta charset="{encoding}"><title>\u0428\u0442\u043e\u0440\u043c</title>'
    story = read_page(text.encode(encoding), address=ADDRESS)
    assert story.headline == "\u0428\u0442\u043e\u0440\u043c"


@pytest.mark.parametrize("document", ["", "   ", "<html><body><p>No title</p></body></html>"])
def test_a_page_without_a_headline_is_malformed(document):
    with pytest.raises(MalformedDocument):
        page(document)


def test_a_page_of_too_many_tags_is_too_large():
    with pytest.raises(TooLarge, match="tags"):
        page("<i></i>" * 200_000)


@pytest.mark.timeout(60)
def test_a_hostile_json_ld_costs_only_itself():
    deep = '<script type="application/ld+json">' + "[" * 50_000 + "</script>"
    wide = '<script type="application/ld+json">[' + "{}," * 30_000 + "{}]</script>"
    assert page(PAGE.replace("<nav>", deep + wide + "<nav>")).author == "Ann, Bob"


def test_a_json_ld_of_many_lists_is_searched_in_linear_time():
    began = time.process_time()
    find_news_article(["[" + ",".join(["[" + "1," * 900 + "1]"] * 1_900) + "]"])
    assert time.process_time() - began < 2.5


def test_an_article_within_an_article_is_written_once(monkeypatch):
    elements = []
    written = web_page._markup
    monkeypatch.setattr(web_page, "_markup", lambda each: elements.append(each) or written(each))
    story = page("<title>T</title>" + "<article><p>word " * 15 + "</p></article>" * 15)
    assert story.body.count("word") == 15
    assert len(elements) < 60


def test_the_feeds_that_a_page_announces_are_found():
    assert discover_feeds(PAGE.encode(), address=ADDRESS) == ["https://www.news.example/feed.xml"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "url", "@type", "@value", "width"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(list(JSON_LD["@graph"][1])), values)
def test_an_article_with_a_member_of_any_type_is_read(name, value):
    article = JSON_LD["@graph"][1] | {name: value}
    script = json.dumps(article).replace("</", "<\\/")
    story = page(f'<title>T</title><script type="application/ld+json">{script}</script>')
    assert story.headline
    assert all(picture.url.startswith("https://") for picture in story.pictures)
