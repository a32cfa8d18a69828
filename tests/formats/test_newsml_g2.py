import time
from datetime import UTC, datetime

import pytest

from service.formats.incoming import (
    MAX_FLAWS,
    BrokenStory,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Subject,
    single,
)
from service.formats.newsml.newsml_g2 import parse_newsml_g2

NAR = 'xmlns="http://iptc.org/std/nar/2006-10-01/"'
ITEM = f"""<?xml version="1.0" encoding="UTF-8"?>
<newsItem {NAR} guid="urn:newsml:agency.example:20261128:storm" version="11" xml:lang="en-US"
    standard="NewsML-G2" standardversion="2.35">
  <catalogRef href="http://www.iptc.org/std/catalog/catalog.IPTC-G2-Standards_40.xml"/>
  <catalog>
    <scheme alias="mt" uri="http://cv.iptc.org/newscodes/mediatopic/"/>
    <scheme alias="own" uri="https://agency.example/cv/"/>
  </catalog>
  <rightsInfo><copyrightHolder><name>Agency</name></copyrightHolder>
    <copyrightNotice>Copyright Agency 2026</copyrightNotice></rightsInfo>
  <itemMeta>
    <itemClass qcode="ninat:text"/>
    <provider uri="https://agency.example/"/>
    <versionCreated>2026-11-28T10:30:00+01:00</versionCreated>
    <firstCreated>2026-11-28T08:00:00Z</firstCreated>
    <embargoed>2026-11-28T12:00:00+01:00</embargoed>
    <pubStatus qcode="stat:usable"/>
    <expires>2026-12-01T00:00:00Z</expires>
    <signal qcode="sig:correction"/>
  </itemMeta>
  <contentMeta>
    <urgency>2</urgency>
    <by>Ann Writer</by>
    <creator><name>Not Used</name></creator>
    <language tag="en-GB"/>
    <subject qcode="mt:17000000"><name>weather</name></subject>
    <subject qcode="subj:15049000"><name>rugby</name>
      <sameAs qcode="own:rugby"/></subject>
    <subject uri="http://cv.iptc.org/newscodes/mediatopic/11000000"/>
    <keyword>harbour</keyword>
    <headline role="hrol:short">Storm</headline>
    <headline>Storm closes Smith &amp;amp; Sons</headline>
    <description role="drol:caption">Not this</description>
    <description role="drol:summary">Ports closed.</description>
  </contentMeta>
  <contentSet>
    <inlineXML contenttype="application/nitf+xml">
      <nitf xmlns="http://iptc.org/std/NITF/2006-10-18/">
        <head><title>t</title></head>
        <body>
          <body.head><hedline><hl1>Other</hl1></hedline><byline>By Nobody</byline></body.head>
          <body.content>
            <p>First &amp; <em>foremost</em>, <person>Jo</person> of <org>Port</org>.</p>
            <hl2>Later</hl2>
            <media media-type="image">
              <media-reference source="http://cdn.example/n.jpg" width="800" height="600"/>
              <media-caption>The wall.</media-caption><media-producer>Bob</media-producer>
            </media>
            <media media-type="video"><media-reference source="https://cdn.example/v"/></media>
            <bq><block><p>Quoted</p></block><credit>Jo</credit></bq>
            <ul><li>a</li></ul><table><tr><td>1</td></tr></table>
          </body.content>
        </body>
      </nitf>
    </inlineXML>
  </contentSet>
</newsItem>"""
PICTURE = """<newsItem guid="urn:p" version="1">
  <itemMeta><itemClass qcode="ninat:picture"/></itemMeta>
  <contentMeta><creator><name>Bob</name></creator><headline>Harbour</headline>
    <description role="drol:caption">The wall.</description></contentMeta>
  <contentSet>
    <remoteContent rendition="rnd:thumbnail" href="https://cdn.example/t.jpg" width="120"
      contenttype="image/jpeg"/>
    <remoteContent rendition="rnd:web" href="http://cdn.example/w.jpg" width="1280" height="720"
      contenttype="image/jpeg"/>
  </contentSet></newsItem>"""
TEXT = """<newsItem guid="urn:t" version="2"><itemMeta><itemClass qcode="ninat:text"/></itemMeta>
  <contentMeta><headline>Text</headline></contentMeta>
  <contentSet><inlineData contenttype="text/plain">One\n\nTwo</inlineData></contentSet>
  </newsItem>"""
PACKAGE = """<packageItem guid="urn:k" version="1"><itemMeta/>
  <contentMeta><headline>Top</headline></contentMeta>
  <groupSet root="g"><group id="g" role="group:main">
    <itemRef residref="urn:t"><title>Text</title></itemRef><itemRef residref="urn:p"/>
  </group></groupSet></packageItem>"""
SHOWN = Picture(
    url="https://cdn.example/w.jpg",
    alt="The wall.",
    caption="The wall.",
    credit="Bob",
    width=1280,
    height=720,
)


def message(*items):
    inner = "".join(items)
    return f"<newsMessage {NAR}><header/><itemSet>{inner}</itemSet></newsMessage>".encode()


def item(text):
    return text.replace("<newsItem ", f"<newsItem {NAR} ", 1).encode()


def test_every_field_of_a_news_item_arrives():
    story = single(parse_newsml_g2(ITEM.encode()))
    assert story == IncomingStory(
        uri="urn:newsml:agency.example:20261128:storm",
        version=11,
        headline="Storm closes Smith & Sons",
        summary="Ports closed.",
        body=story.body,
        language="en-GB",
        author="Ann Writer",
        subjects=(
            Subject("medtop:17000000", "weather"),
            Subject("subj:15049000", "rugby"),
            Subject("https://agency.example/cv/rugby", ""),
            Subject("medtop:11000000", ""),
            Subject("", "harbour"),
        ),
        topics=("weather", "sport", "politics"),
        image=Picture(url="https://cdn.example/n.jpg", alt="The wall."),
        urgency=2,
        embargo_until=datetime(2026, 11, 28, 11, tzinfo=UTC),
        expires_at=datetime(2026, 12, 1, tzinfo=UTC),
        published_at=datetime(2026, 11, 28, 8, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        is_correction=True,
        rights="Copyright Agency 2026",
    )


def test_nitf_becomes_clean_html():
    body = " ".join(single(parse_newsml_g2(ITEM.encode())).body.split())
    assert body == (
        "<p>First &amp; <em>foremost</em>, Jo of Port.</p> <h3>Later</h3> "
        '<figure><img src="https://cdn.example/n.jpg" alt="The wall." width="800" height="600">'
        "<figcaption>The wall. Bob</figcaption></figure> "
        "<blockquote><div><p>Quoted</p></div><p>Jo</p></blockquote> "
        "<ul><li>a</li></ul><table><tbody><tr><td>1</td></tr></tbody></table>"
    )


def test_xhtml_becomes_clean_html_with_resolved_links():
    inline = (
        '<inlineXML contenttype="application/xhtml+xml"><html xmlns="http://www.w3.org/1999/xhtml">'
        "<head><title>t</title></head><body><h1>Text</h1><p onclick='x'>See <a href='/a'>it</a>"
        "<script>x</script></p></body></html></inlineXML>"
    )
    text = TEXT.replace('<inlineData contenttype="text/plain">One\n\nTwo</inlineData>', inline)
    story = single(parse_newsml_g2(item(text), base="https://agency.example/x"))
    assert story.body == (
        '<p>See <a href="https://agency.example/a" rel="noopener noreferrer">it</a></p>'
    )


def test_inline_text_becomes_paragraphs_and_an_absent_version_is_none():
    story = single(parse_newsml_g2(item(TEXT.replace(' version="2"', ""))))
    assert (story.body, story.version) == ("<p>One</p>\n<p>Two</p>", None)


def test_headline_byline_and_summary_come_from_nitf_where_the_item_has_none():
    text = ITEM
    for gone in (
        '<headline role="hrol:short">Storm</headline>',
        "<headline>Storm closes Smith &amp;amp; Sons</headline>",
        "<by>Ann Writer</by>",
    ):
        text = text.replace(gone, "")
    story = single(parse_newsml_g2(text.encode()))
    assert (story.headline, story.author) == ("Other", "By Nobody")


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ('qcode="stat:canceled"', PublicationStatus.CANCELED),
        ('qcode="stat:withheld"', PublicationStatus.WITHHELD),
        ('uri="http://cv.iptc.org/newscodes/pubstatusg2/canceled"', PublicationStatus.CANCELED),
        ('qcode="stat:usable"', PublicationStatus.USABLE),
    ],
)
def test_a_kill_is_read_from_qcode_and_uri(status, word):
    text = ITEM.replace('<pubStatus qcode="stat:usable"/>', f"<pubStatus {status}/>")
    assert single(parse_newsml_g2(text.encode())).status is word


def test_an_embargo_without_an_end_withholds_the_story():
    text = ITEM.replace("<embargoed>2026-11-28T12:00:00+01:00</embargoed>", "<embargoed/>")
    story = single(parse_newsml_g2(text.encode()))
    assert story.status is PublicationStatus.WITHHELD
    assert story.remarks[0].place == "/newsItem/itemMeta/embargoed"


def test_all_faults_of_an_item_are_named_at_once_with_their_xml_path():
    text = f"""<newsItem {NAR} version="2"><itemMeta>
      <embargoed>tonight</embargoed><pubStatus qcode="stat:live"/></itemMeta>
      <contentMeta><urgency>0</urgency><language tag="!!"/></contentMeta></newsItem>"""
    (story,) = parse_newsml_g2(text.encode())
    assert isinstance(story, BrokenStory)
    assert {flaw.place for flaw in story.flaws} == {
        "/newsItem/@guid",
        "/newsItem/itemMeta/embargoed",
        "/newsItem/itemMeta/pubStatus",
        "/newsItem/contentMeta/urgency",
        "/newsItem/contentMeta/language",
        "/newsItem/contentMeta/headline",
    }


def test_a_message_brings_several_stories_and_a_broken_one_stops_no_other():
    stories = parse_newsml_g2(message(TEXT, "<newsItem/>", TEXT.replace("urn:t", "urn:u")))
    assert [getattr(story, "place", story.uri) for story in stories] == [
        "urn:t",
        "/newsMessage/itemSet/newsItem[2]",
        "urn:u",
    ]


def test_a_package_binds_its_pictures_to_its_texts():
    (story,) = parse_newsml_g2(message(PACKAGE, TEXT, PICTURE))
    assert (story.uri, story.image, story.pictures) == ("urn:t", SHOWN, (SHOWN,))


def test_a_text_that_links_to_a_picture_has_it():
    text = TEXT.replace("<itemMeta>", '<itemMeta><link rel="irel:x" residref="urn:p"/>')
    (story,) = parse_newsml_g2(message(PICTURE, text))
    assert story.image == SHOWN


def test_a_killed_picture_is_no_picture_of_a_text_and_its_kill_arrives():
    killed = PICTURE.replace("<itemMeta>", '<itemMeta><pubStatus qcode="stat:canceled"/>')
    text, kill = parse_newsml_g2(message(PACKAGE, TEXT, killed))
    assert text.image is None
    assert (kill.uri, kill.status) == ("urn:p", PublicationStatus.CANCELED)


def test_a_picture_alone_is_a_story_of_one_figure():
    story = single(parse_newsml_g2(item(PICTURE)))
    assert story.body == (
        '<figure><img src="https://cdn.example/w.jpg" alt="The wall.">'
        "<figcaption>The wall.</figcaption></figure>"
    )
    assert story.image == SHOWN


def test_a_package_alone_is_a_list_of_what_it_refers_to():
    text = PACKAGE.replace("<packageItem", f"<packageItem {NAR}").replace(
        '<itemRef residref="urn:p"/>',
        '<itemRef href="https://agency.example/p"><title>P &amp; Q</title></itemRef>',
    )
    story = single(parse_newsml_g2(text.encode()))
    assert story.body == (
        "<ul>\n<li>Text</li>\n"
        '<li><a href="https://agency.example/p" rel="noopener noreferrer">P &amp; Q</a></li>\n</ul>'
    )


def test_the_catalog_of_a_message_holds_for_its_items():
    catalog = (
        '<catalog><scheme alias="z" uri="http://cv.iptc.org/newscodes/mediatopic/"/></catalog>'
    )
    text = TEXT.replace("<headline>", '<subject qcode="z:07000000"/><headline>')
    document = message(text).replace(b"<header/>", f"<header>{catalog}</header>".encode())
    assert single(parse_newsml_g2(document)).topics == ("health",)


def test_the_catalog_of_a_message_is_read_once_for_all_its_items():
    schemes = "".join(f'<scheme alias="a{n}" uri="http://x.example/{n}"/>' for n in range(5_000))
    document = message("<newsItem/>" * 500).replace(
        b"<header/>", f"<header><catalog>{schemes}</catalog></header>".encode()
    )
    began = time.process_time()
    assert len(parse_newsml_g2(document)) == 500
    assert time.process_time() - began < 1.5


def test_very_many_wrong_dates_are_named_twenty_times_in_linear_time():
    dates = "".join(f"<expires>soon {n}</expires>" for n in range(5_000))
    began = time.process_time()
    (story,) = parse_newsml_g2(message(TEXT.replace("</itemMeta>", f"{dates}</itemMeta>")))
    assert len(story.flaws) == MAX_FLAWS
    assert time.process_time() - began < 1.5


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (f"<conceptItem {NAR}/>", "no newsItem"),
        ('<newsItem xmlns="urn:other"/>', "not NewsML-G2"),
        (f"<newsMessage {NAR}/>", "holds 0 items"),
        ("<rss/>", "no newsItem"),
        ("nonsense", "not XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><newsItem>&a;</newsItem>", "document type"),
    ],
)
def test_what_holds_no_story_is_malformed(document, fault):
    with pytest.raises(MalformedDocument, match=fault):
        parse_newsml_g2(document.encode())
