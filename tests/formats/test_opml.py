import pytest

from service.formats.feeds.opml import MAX_SUBSCRIPTIONS, FeedAddress, parse_opml
from service.formats.incoming import MalformedDocument

OPML = b"""<?xml version="1.0"?><opml version="2.0"><head><title>Feeds</title></head><body>
<outline text="World &amp;amp; more"><outline text="Europe">
  <outline type="rss" text="News &amp; views" xmlUrl="https://a.example/feed" htmlUrl="/"/>
</outline></outline>
<outline type="rss" title="Second" text="x" xmlUrl="http://b.example/atom"/>
<outline type="rss" text="Twice" xmlUrl="https://a.example/feed"/>
<outline type="rss" text="Odd" xmlUrl="javascript:alert(1)"/>
<outline xmlUrl="https://c.example/feed"/>
</body></opml>"""


def test_every_feed_of_a_list_is_read_once_with_its_folders():
    assert parse_opml(OPML) == (
        FeedAddress(
            "https://a.example/feed",
            "News & views",
            "https://a.example/",
            ("World & more", "Europe"),
        ),
        FeedAddress("http://b.example/atom", "Second", None, ()),
        FeedAddress("https://c.example/feed", "https://c.example/feed", None, ()),
    )


@pytest.mark.parametrize(
    "document",
    [b"", b"<opml/>", b"<opml><body/></opml>", b"<rss><channel/></rss>", b"nothing"],
)
def test_what_holds_no_feed_is_malformed(document):
    with pytest.raises(MalformedDocument):
        parse_opml(document)


def test_a_list_is_cut_off_at_two_thousand_feeds():
    outlines = b"".join(b'<outline xmlUrl="https://a.example/%d"/>' % n for n in range(2500))
    assert len(parse_opml(b"<opml><body>" + outlines + b"</body></opml>")) == MAX_SUBSCRIPTIONS


def test_folders_nested_as_deeply_as_xml_may_be_are_read():
    nested = b'<outline text="f">' * 240 + b'<outline xmlUrl="https://a.example/"/>'
    document = b"<opml><body>" + nested + b"</outline>" * 240 + b"</body></opml>"
    assert len(parse_opml(document)[0].folders) == 240
