import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.composing import MAX_PICTURES
from service.formats.feeds.feed import FeedKind, parse_feed
from service.formats.incoming import (
    BrokenStory,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Subject,
)

ADDRESS = "https://news.example/feeds/all"
RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"
  xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dcterms="http://purl.org/dc/terms/">
<channel>
  <title>News &amp; more</title><link>https://news.example/</link><description>d</description>
  <language>en-gb</language><ttl>15</ttl>
  <atom:link rel="self" type="application/rss+xml" href="https://news.example/feed.xml"/>
  <atom:link rel="hub" href="https://hub.example/"/>
  <item>
    <title>Storm closes Smith &amp;amp; Sons&#8217; harbour</title>
    <link>/world/storm?utm_source=rss</link>
    <guid isPermaLink="false">storm-1</guid>
    <description><![CDATA[<p>The harbour is <b>closed</b>.</p>]]></description>
    <content:encoded><![CDATA[<p>Long. <img src="p.jpg" alt="P"> <a href="../a">a</a></p>]]>
    </content:encoded>
    <pubDate>Sat, 28 Nov 2026 10:00:00 +0100</pubDate>
    <dcterms:modified>2026-11-28T09:30:00Z</dcterms:modified>
    <dc:creator>Ann Writer</dc:creator>
    <category>Weather</category>
    <category domain="http://cv.iptc.org/newscodes/mediatopic/">15000000</category>
    <media:group>
      <media:content url="http://cdn.example/s.jpg" medium="image" width="300"/>
      <media:content url="http://cdn.example/l.jpg" medium="image" width="1300" height="900">
        <media:title>The wall</media:title></media:content>
      <media:credit>Bob</media:credit>
    </media:group>
    <media:content url="https://cdn.example/v.mp4" type="video/mp4">
      <media:thumbnail url="https://cdn.example/v.jpg" width="640"/></media:content>
    <enclosure url="/e.png" type="image/png" length="1"/>
    <enclosure url="/sound.mp3" type="audio/mpeg" length="1"/>
  </item>
</channel></rss>"""
ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0"
  xml:lang="de">
  <title type="html">Nachrichten &amp;amp; mehr</title>
  <id>urn:feed</id><updated>2026-11-28T10:00:00Z</updated>
  <link rel="self" href="https://news.example/atom"/><link rel="hub" href="https://hub.example/"/>
  <link href="https://news.example/"/>
  <author><name>Redaktion</name></author>
  <entry>
    <id>tag:news.example,2026:1</id>
    <title type="html">Sturm &amp;amp; &lt;b&gt;Flut&lt;/b&gt;</title>
    <link rel="enclosure" type="image/jpeg" href="https://cdn.example/e.jpg"/>
    <link rel="alternate" type="application/json" href="https://news.example/1.json"/>
    <link rel="alternate" type="text/html" href="https://news.example/welt/1"/>
    <summary>Der Hafen.</summary>
    <content type="xhtml" xml:base="https://media.example/x/"><div
      xmlns="http://www.w3.org/1999/xhtml"><p>Lang <img src="p.jpg" alt="P"/></p></div></content>
    <published>2026-11-28T09:00:00+01:00</published><updated>2026-11-28T09:30:00Z</updated>
    <category term="17000000" scheme="http://cv.iptc.org/newscodes/mediatopic/" label="Wetter"/>
    <category term="Hafen"/>
    <rights>Verlag</rights>
  </entry>
  <entry xml:lang="en"><id>tag:news.example,2026:2</id><title>Plain &lt;3</title>
    <content type="html">&lt;p&gt;Text&lt;/p&gt;</content><author><name>Ann</name></author></entry>
  <at:deleted-entry ref="tag:news.example,2026:3" when="2026-11-28T10:00:00Z"/>
</feed>"""
JSON_FEED = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "News &amp; more",
    "home_page_url": "https://news.example/",
    "feed_url": "https://news.example/feed.json",
    "language": "en-US",
    "authors": [{"name": "Desk"}],
    "hubs": [{"type": "WebSub", "url": "https://hub.example/"}, {"type": "rssCloud", "url": "/x"}],
    "items": [
        {
            "id": "https://news.example/1",
            "url": "https://news.example/world/1",
            "external_url": "https://elsewhere.example/",
            "title": "Storm &amp; flood",
            "summary": "The harbour.",
            "content_html": '<p>Long <a href="/a">a</a></p>',
            "content_text": "Long",
            "image": "/i.jpg",
            "date_published": "2026-11-28T10:00:00+01:00",
            "date_modified": "2026-11-28T09:30:00Z",
            "authors": [{"name": "Ann"}, {"name": "Bob"}],
            "tags": ["Harbour", "medtop:17000000"],
            "language": "en-GB",
            "attachments": [
                {"url": "https://cdn.example/a.png", "mime_type": "image/png"},
                {"url": "https://cdn.example/a.mp3", "mime_type": "audio/mpeg"},
            ],
        },
        {"id": 7, "content_text": "A note. With two sentences."},
    ],
}


def feed(text, **options):
    document = text if isinstance(text, bytes) else text.encode()
    return parse_feed(document, address=ADDRESS, **options)


def rss(*items):
    return f"<rss version='2.0'><channel><link>https://news.example/</link>{''.join(items)}</channel></rss>"


def only(text) -> IncomingStory:
    (story,) = feed(text).stories
    assert isinstance(story, IncomingStory), story
    return story


def test_every_field_of_rss_arrives():
    read = feed(RSS, aliases={"weather": "weather/local", "medtop:15000000": "sport"})
    assert (read.kind, read.title, read.language) == (FeedKind.RSS, "News & more", "en-GB")
    assert (read.home_page, read.self_url) == (
        "https://news.example/",
        "https://news.example/feed.xml",
    )
    assert (read.hubs, read.minutes_between_polls) == (("https://hub.example/",), 15)
    pictures = (
        Picture(
            url="https://cdn.example/l.jpg", alt="The wall", credit="Bob", width=1300, height=900
        ),
        Picture(url="https://news.example/e.png"),
        Picture(url="https://cdn.example/v.jpg", width=640),
    )
    assert read.stories == (
        IncomingStory(
            uri="storm-1",
            headline="Storm closes Smith & Sons\u2019 harbour",
            summary="The harbour is closed.",
            body='<p>Long. <img src="https://news.example/world/p.jpg" alt="P"> '
            '<a href="https://news.example/a" rel="noopener noreferrer">a</a></p>',
            language="en-GB",
            author="Ann Writer",
            subjects=(Subject("", "Weather"), Subject("medtop:15000000", "15000000")),
            topics=("weather/local", "sport"),
            image=pictures[0],
            pictures=pictures,
            published_at=datetime(2026, 11, 28, 9, tzinfo=UTC),
            updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
            link="https://news.example/world/storm?utm_source=rss",
        ),
    )
    assert not read.stories[0].uri_is_global


def test_every_field_of_atom_arrives():
    read = feed(ATOM)
    assert (read.kind, read.title, read.language) == (FeedKind.ATOM, "Nachrichten & mehr", "de")
    assert (read.home_page, read.self_url) == ("https://news.example/", "https://news.example/atom")
    assert read.hubs == ("https://hub.example/",)
    first, second, deleted = read.stories
    assert first == IncomingStory(
        uri="tag:news.example,2026:1",
        headline="Sturm & Flut",
        summary="Der Hafen.",
        body='<div><p>Lang <img src="https://media.example/x/p.jpg" alt="P"></p></div>',
        language="de",
        author="Redaktion",
        subjects=(Subject("medtop:17000000", "Wetter"), Subject("", "Hafen")),
        topics=("weather",),
        image=Picture(url="https://cdn.example/e.jpg"),
        pictures=(Picture(url="https://cdn.example/e.jpg"),),
        published_at=datetime(2026, 11, 28, 8, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        link="https://news.example/welt/1",
        rights="Verlag",
    )
    assert (second.headline, second.body, second.author) == ("Plain <3", "<p>Text</p>", "Ann")
    assert second.language == "en"
    assert (deleted.uri, deleted.status) == (
        "tag:news.example,2026:3",
        PublicationStatus.CANCELED,
    )


def test_every_field_of_json_feed_arrives():
    read = feed(json.dumps(JSON_FEED))
    assert (read.kind, read.title, read.language) == (FeedKind.JSON, "News & more", "en-US")
    assert (read.hubs, read.complete) == (("https://hub.example/",), False)
    first, second = read.stories
    pictures = (
        Picture(url="https://news.example/i.jpg"),
        Picture(url="https://cdn.example/a.png"),
    )
    assert first == IncomingStory(
        uri="https://news.example/1",
        headline="Storm & flood",
        summary="The harbour.",
        body='<p>Long <a href="https://news.example/a" rel="noopener noreferrer">a</a></p>',
        language="en-GB",
        author="Ann, Bob",
        subjects=(Subject("", "Harbour"), Subject("medtop:17000000", "medtop:17000000")),
        topics=("weather",),
        image=pictures[0],
        pictures=pictures,
        published_at=datetime(2026, 11, 28, 9, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        link="https://news.example/world/1",
    )
    assert (second.uri, second.headline, second.body, second.author) == (
        "7",
        "A note. With two sentences.",
        "<p>A note. With two sentences.</p>",
        "Desk",
    )


def test_rss_1_0_is_read_as_rss():
    read = feed(
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<channel><title>T</title><link>https://news.example/</link></channel>"
        '<item rdf:about="https://news.example/1"><title>One</title><link>/1</link>'
        "<dc:date>2026-11-28T10:00:00Z</dc:date></item></rdf:RDF>"
    )
    (story,) = read.stories
    assert (read.kind, story.uri, story.headline) == (
        FeedKind.RSS,
        "https://news.example/1",
        "One",
    )
    assert story.published_at == datetime(2026, 11, 28, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("identity", "uri"),
    [
        ("<guid>g-1</guid><link>https://news.example/1</link>", "g-1"),
        ("<link>https://news.example/1?utm_source=x#y</link>", "https://news.example/1"),
        ("<guid>https://news.example/g</guid>", "https://news.example/g"),
    ],
)
def test_a_story_is_named_by_its_guid_and_else_by_its_link(identity, uri):
    assert only(rss(f"<item><title>T</title>{identity}</item>")).uri == uri


def test_a_permalink_is_the_link_where_there_is_no_other():
    item = "<item><title>T</title><guid>https://news.example/g</guid></item>"
    assert only(rss(item)).link == "https://news.example/g"
    other = item.replace("<guid>", '<guid isPermaLink="false">')
    assert only(rss(other)).link is None


def test_an_item_without_any_name_is_broken_and_stops_no_other():
    named = "<item><title>b</title><guid>2</guid></item>"
    broken, story = feed(rss("<item><title>a</title></item>", named)).stories
    assert isinstance(broken, BrokenStory)
    assert broken.place == "/rss/channel/item[1]"
    assert story.uri == "2"


def test_of_entries_with_one_name_the_first_counts():
    item = "<item><title>{}</title><guid>1</guid></item>"
    assert only(rss(item.format("new"), item.format("old"))).headline == "new"


def test_the_content_hash_changes_with_the_text_and_not_with_the_date():
    item = "<item><title>T</title><guid>1</guid><description>{}</description>{}</item>"
    before = only(rss(item.format("a", "<pubDate>Sat, 28 Nov 2026 10:00:00 GMT</pubDate>")))
    redated = only(rss(item.format("a", "<pubDate>Sat, 28 Nov 2026 11:00:00 GMT</pubDate>")))
    rewritten = only(rss(item.format("b", "")))
    assert before.content_hash == redated.content_hash != rewritten.content_hash


def test_a_broken_date_is_remarked_and_costs_nothing_else():
    story = only(rss("<item><title>T</title><guid>1</guid><pubDate>soon</pubDate></item>"))
    assert story.published_at is None
    assert "soon" in story.remarks[0].fault


def test_a_description_alone_is_body_and_summary():
    words = "<p>First paragraph.</p><p>Second paragraph.</p>"
    text = f"<item><guid>1</guid><description><![CDATA[{words}]]></description></item>"
    story = only(rss(text))
    assert (story.headline, story.body) == ("First paragraph.", words)


def test_what_wordpress_adds_to_its_entries_is_left_out():
    added = '<p>The post <a href="/1">T</a> appeared first on <a href="/">News</a>.</p>\n'
    item = f"<![CDATA[<p>Lead [&#8230;]</p>{added}]]>"
    story = only(
        rss(f"<item><title>T</title><guid>1</guid><description>{item}</description></item>")
    )
    assert (story.summary, story.body) == ("Lead\u2026", "<p>Lead [\u2026]</p>")


def test_blanks_behind_what_wordpress_adds_cost_nothing():
    added = "The post <a >T</a> appeared first on <a >News</a>" + " " * 500_000 + "."
    began = time.process_time()
    only(
        rss(
            f"<item><title>T</title><guid>1</guid><description><![CDATA[{added}]]></description></item>"
        )
    )
    assert time.process_time() - began < 1


def test_an_entry_of_very_many_pictures_is_read_in_linear_time():
    contents = "".join(f'<media:content url="/{n}.jpg" medium="image"/>' for n in range(30_000))
    began = time.process_time()
    media = 'xmlns:media="http://search.yahoo.com/mrss/"'
    story = only(rss(f"<item {media}><title>T</title><guid>1</guid>{contents}</item>"))
    assert len(story.pictures) == MAX_PICTURES
    assert time.process_time() - began < 2


def test_a_feed_whose_title_has_a_number_of_too_many_digits_is_read():
    title = "&amp;#" + "9" * 5_000 + ";"
    assert only(rss(f"<item><title>T {title}</title><guid>1</guid></item>")).headline == "T \ufffd"


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("<author>a@news.example (Ann Writer)</author>", "Ann Writer"),
        ("<author>a@news.example</author>", ""),
        ("<author>Ann Writer</author>", "Ann Writer"),
    ],
)
def test_no_mail_address_becomes_an_author(author, name):
    assert only(rss(f"<item><title>T</title><guid>1</guid>{author}</item>")).author == name


@pytest.mark.parametrize(
    ("text", "encoding", "charset"),
    [
        (RSS.replace("utf-8", "windows-1252"), "cp1252", None),
        (RSS.replace(' encoding="utf-8"', ""), "utf-16", None),
        (RSS.replace(' encoding="utf-8"', ""), "iso-8859-15", "iso-8859-15"),
        ("\n\n" + RSS, "utf-8", None),
        (RSS.replace("</channel></rss>", ""), "utf-8", None),
        (RSS.replace("<rss", "<!DOCTYPE rss SYSTEM 'http://x.example/d'><rss"), "utf-8", None),
        (RSS.replace("<b>closed", "\x0b<b>closed"), "utf-8", None),
    ],
)  # fmt: skip
def test_a_feed_in_any_encoding_and_slightly_broken_is_read_all_the_same(text, encoding, charset):
    document = text.replace("harbour", "h\u00e4rbour").encode(encoding)
    (story,) = feed(document, charset=charset).stories
    assert story.headline == "Storm closes Smith & Sons\u2019 h\u00e4rbour"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("<html><head/></html>", "a web page"),
        ("<!DOCTYPE html><html><body>x</body></html>", "a web page"),
        ("<opml/>", "<opml>"),
        ('{"items": []}', "version"),
        ('{"version": "https://jsonfeed.org/version/1", "items": {}}', "array"),
        ("nothing", "not XML"),
        ("<!DOCTYPE r [<!ENTITY x 'y'>]><rss/>", "entities"),
    ],
)
def test_what_is_no_feed_is_malformed(document, fault):
    with pytest.raises(MalformedDocument, match=fault):
        feed(document)


def test_more_than_five_hundred_entries_are_cut_off():
    items = "".join(f"<item><title>{n}</title><guid>{n}</guid></item>" for n in range(600))
    assert len(feed(rss(items)).stories) == 500


@given(st.text(max_size=60), st.text(max_size=60), st.text(alphabet="<>&;]ab\"' =/", max_size=60))
def test_any_text_in_an_item_is_read_as_text(title, link, markup):
    document = json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "items": [{"id": "1", "title": title, "url": link, "content_html": markup}],
        }
    )
    (story,) = feed(document).stories
    if isinstance(story, IncomingStory):
        assert story.headline
        assert story.link is None or story.link.startswith("http")
        assert "<script" not in story.body
