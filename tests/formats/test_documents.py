import contextlib
import json
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import TooLarge
from service.formats import xml_document
from service.formats.encodings import decode_document
from service.formats.feeds.feed import parse_feed
from service.formats.incoming import MAX_FLAWS, MalformedDocument, Report
from service.formats.json_document import MAX_JSON_DEPTH, JsonObject, parse_json
from service.formats.newsml.newsml_g2 import parse_newsml_g2
from service.formats.ninjs import parse_ninjs
from service.formats.web_page import MAX_PAGE_BYTES, read_page
from service.formats.xml_document import (
    local_name,
    namespace_of,
    parse_feed_xml,
    parse_xml,
    path_of_element,
    text_of,
)

ADDRESS = "https://news.example/feed"
LAUGHS = (
    b'<!DOCTYPE l [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><rss><channel><title>&j;</title></channel></rss>"
)
BLOWUP = b'<!DOCTYPE r [<!ENTITY a "%s">]><r>%s</r>' % (b"x" * 50_000, b"&a;" * 50_000)
PEEK = b'<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/hostname">]><r>&f;</r>'
FETCH = b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/evil.dtd"><r/>'
ATTRIBUTE = b'<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><r x="&b;"/>'
BOMBS = {"laughs": LAUGHS, "blowup": BLOWUP, "peek": PEEK, "attribute": ATTRIBUTE}


@pytest.fixture
def parses(monkeypatch):
    """Count how often bytes reach the XML parser."""
    calls = []
    real = xml_document.etree.fromstring

    def counted(text, parser):
        calls.append(len(text))
        return real(text, parser)

    monkeypatch.setattr(xml_document.etree, "fromstring", counted)
    return calls


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_that_defines_entities_never_reaches_the_parser(bomb, encoding, parses):
    document = bomb.decode().encode(encoding)
    for parse in (parse_xml, parse_feed_xml):
        with pytest.raises(MalformedDocument):
            parse(document)
    assert parses == []


def test_a_document_type_of_elsewhere_is_refused_and_in_a_feed_dropped(parses):
    with pytest.raises(MalformedDocument, match="document type"):
        parse_xml(FETCH)
    assert parses == []
    assert parse_feed_xml(FETCH).tag == "r"


@pytest.mark.parametrize("late", [b"<r>" + PEEK + b"</r>", b"<!-- a --><?b c?>" + PEEK])
def test_a_document_type_hides_behind_nothing(late):
    with pytest.raises(MalformedDocument):
        parse_xml(late)
    root = None
    try:
        root = parse_feed_xml(late)
    except MalformedDocument:
        return
    assert "localhost" not in text_of(root)


@pytest.mark.parametrize(
    ("read", "size"),
    [
        (lambda d: parse_feed(d, address=ADDRESS), 50_000_000),
        (lambda d: parse_feed(b"{" + d, address=ADDRESS), 50_000_000),
        (parse_newsml_g2, 5_000_000),
        (parse_xml, 5_000_000),
    ],
    ids=["feed", "json feed", "newsml", "xml"],
)
def test_what_is_too_large_is_refused_before_it_is_parsed(read, size, parses):
    with pytest.raises(TooLarge, match="bytes"):
        read(b"<rss><channel>" + b"x" * size + b"</channel></rss>")
    assert parses == []


@pytest.mark.parametrize(
    "document", [b"<a/>" * 500_000, b"<a" + b' b=""' * 450_000 + b"/>", b"<a>" + b"&lt;" * 900_000]
)
def test_too_many_elements_are_refused_before_they_are_parsed(document, parses):
    with pytest.raises(TooLarge):
        parse_xml(document)
    assert parses == []


def test_a_page_that_is_too_large_is_refused():
    with pytest.raises(TooLarge):
        read_page(b" " * (MAX_PAGE_BYTES + 1), address=ADDRESS)


def test_a_bomb_and_a_large_feed_cost_almost_no_memory():
    """Count the pages of a process of its own, the C library's included."""
    program = (
        "import resource, sys\n"
        "from tests.formats.test_documents import *\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for bomb in BOMBS.values():\n"
        "    try: parse_feed_xml(bomb)\n"
        "    except MalformedDocument: pass\n"
        "feed = b'<rss>' + bytes(50_000_000)\n"
        "with_feed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: parse_feed(feed, address=ADDRESS)\n"
        "except TooLarge: pass\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(after - with_feed, after - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for_parsing, altogether = map(int, run.stdout.split())
    assert for_parsing < 1_000  # KiB
    assert altogether < 60_000  # KiB, the feed itself among them


def test_the_names_of_a_document_are_forgotten_with_it(monkeypatch):
    """A parser keeps the names that it has seen in a thread as long as the thread lives."""
    threads = []
    real = xml_document.etree.fromstring

    def parse(text, parser):
        threads.append(threading.current_thread())
        return real(text, parser)

    monkeypatch.setattr(xml_document.etree, "fromstring", parse)
    root = parse_feed_xml(b"<rss><channel/></rss>")
    read_page(b"<title>T</title><article>words</article>", address=ADDRESS)
    assert [child.tag for child in root] == ["channel"]
    assert len(set(threads)) == 2
    assert not any(thread.is_alive() for thread in threads)


def test_long_names_are_not_remembered():
    name = "n" * 40_000
    known = xml_document._known_parts.cache_info().currsize
    root = parse_feed_xml(f'<{name} xmlns="urn:x"/>'.encode())
    assert (local_name(root), namespace_of(root)) == (name, "urn:x")
    assert xml_document._known_parts.cache_info().currsize == known


def test_what_is_not_xml_is_said_with_line_and_column():
    with pytest.raises(MalformedDocument, match=r"line 2, column \d+"):
        parse_xml(b"<a>\n<b></a>")


def test_deep_xml_is_refused():
    with pytest.raises(MalformedDocument, match="depth"):
        parse_xml(b"<a>" * 2000 + b"</a>" * 2000)


def test_a_feed_is_repaired_where_feeds_are_broken():
    root = parse_feed_xml(
        b"<r><t>Smith & Sons &nbsp;&euro; &bogus; &amp;</t><h><![CDATA[a & b]]></h><o>\x0b\x02x</r>"
    )
    assert text_of(root[0]) == "Smith & Sons \u00a0\u20ac &bogus; &"
    assert text_of(root[1]) == "a & b"
    assert text_of(root[2]) == "x"


def test_an_xml_path_counts_siblings_of_the_same_name():
    root = parse_xml(b'<r xmlns="urn:x"><a/><b/><a><c/></a></r>')
    assert path_of_element(root[2][0], "id") == "/r/a[2]/c/@id"
    assert path_of_element(root[1]) == "/r/b"


@pytest.mark.parametrize(
    ("document", "charset"),
    [
        ("<a>\u00e9\u20ac</a>".encode(), None),
        ("\ufeff<a>\u00e9\u20ac</a>".encode(), "iso-8859-1"),
        ("<a>\u00e9\u20ac</a>".encode("cp1252"), None),
        ('<?xml version="1.0" encoding="iso-8859-1"?><a>\u00e9\u20ac</a>'.encode("cp1252"), None),
        ("<a>\u00e9\u20ac</a>".encode("iso-8859-15"), "ISO-8859-15"),
        ('<?xml version="1.0"?><a>\u00e9\u20ac</a>'.encode("utf-16"), None),
        ('<?xml version="1.0" encoding="utf-16"?><a>\u00e9\u20ac</a>'.encode("utf-16-le"), None),
        ('<?xml version="1.0" encoding="rot13"?><a>\u00e9\u20ac</a>'.encode(), "punycode"),
    ],
)
def test_encodings_are_found_by_mark_header_and_declaration(document, charset):
    assert text_of(parse_feed_xml(document, charset=charset)) == "\u00e9\u20ac"


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "gb18030", "idna", "nonsense"]))
def test_any_bytes_can_be_decoded(document, charset):
    decode_document(document, charset).encode("utf-8", "replace")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_by_every_format(document):
    readers = (
        parse_ninjs,
        parse_newsml_g2,
        lambda d: parse_feed(d, address=ADDRESS),
        lambda d: read_page(d, address=ADDRESS),
    )
    for read in readers:
        with contextlib.suppress(MalformedDocument, TooLarge):
            read(document)


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"[1,]", b"nul", b'{"a": NaN}', b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000],
)
def test_what_is_not_json_is_a_malformed_document(document):
    with pytest.raises(MalformedDocument):
        parse_json(document)


def test_json_is_bounded_in_depth_size_and_number():
    deep = json.loads("[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH)
    assert parse_json(json.dumps(deep).encode()) == deep
    with pytest.raises(MalformedDocument, match="deep"):
        parse_json(b"[" * 500 + b"]" * 500)
    with pytest.raises(TooLarge, match="bytes"):
        parse_json(b" " * 5_000_000)
    with pytest.raises(TooLarge, match="objects"):
        parse_json(b"[" + b"{}," * 300_000 + b"{}]")
    with pytest.raises(TooLarge, match="texts"):
        parse_json(b"[" + b'"",' * 300_000 + b"0]")


def test_json_faults_name_their_path_and_are_twenty_at_most():
    report = Report()
    entries = JsonObject({"odd name": [*range(50)]}, "$", report).objects("odd name")
    assert list(entries) == []
    assert len(report.flaws) == MAX_FLAWS
    assert str(report.flaws[3]) == '$["odd name"][3]: is a number instead of an object'
