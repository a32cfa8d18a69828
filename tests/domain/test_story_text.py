import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.actions import story_text
from service.domain.errors import Invalid
from service.domain.story import MAX_BODY_BYTES, StoryText
from service.formats import markup_bounds

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
A_MOMENT = "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("One line", "<p>One line</p>"),
        ("One\n\nTwo\nlines", "<p>One</p>\n<p>Two<br>\nlines</p>"),
        ("One\r\n\r\nTwo", "<p>One</p>\n<p>Two</p>"),
        ("5 < 6 & AT&T", "<p>5 &lt; 6 &amp; AT&amp;T</p>"),
        ("AT&amp;T rises", "<p>AT&amp;T rises</p>"),
        ("a <b>bold</b> word\n\nmore", "<p>a <b>bold</b> word</p>\n<p>more</p>"),
        ("<p>One</p>\n\n<p>Two</p>", "<p>One</p>\n\n<p>Two</p>"),
        ("<h1>Head</h1><p>x</p>", "<h2>Head</h2><p>x</p>"),
        ("<p onclick=x>y<script>alert(1)</script></p>", "<p>y</p>"),
        ('<p><a href="javascript:x()">y</a></p>', '<p><a rel="noopener noreferrer">y</a></p>'),
        (
            '<p><a href="https://a.example/" target=_top>y</a></p>',
            '<p><a href="https://a.example/" rel="noopener noreferrer">y</a></p>',
        ),
        (
            '<figure><img src="https://a.example/x.png" onerror=x alt="a b"></figure>',
            '<figure><img src="https://a.example/x.png" alt="a b" loading="lazy"></figure>',
        ),
        ('<p>a<img src="data:image/png;base64,AA"></p>', "<p>a</p>"),
        ('<p>a<img src="/relative.png"></p>', "<p>a</p>"),
        (
            '<p><img src="http://a.example/x.png"></p>',
            '<p><img src="https://a.example/x.png" alt="" loading="lazy"></p>',
        ),
        ("<p>a&#11;b\ufffec&#xFFFE;d</p>", "<p>abcd</p>"),
        ("<p>Mu\u0308ller</p>", "<p>M\u00fcller</p>"),
        ('<p dir="rtl" lang="ar">خبر</p>', '<p dir="rtl" lang="ar">خبر</p>'),
        ("<p>a\x00b\x1bc</p>", "<p>abc</p>"),
        ("<style>p{}</style><iframe src=x>y</iframe><p>z</p>", "<p>z</p>"),
        ("<p style='color:red' class=x id=y>z</p>", "<p>z</p>"),
    ],
)
def test_a_body_becomes_safe_html_that_reads_as_it_was_meant(body, kept):
    assert story_text.clean_body(body) == kept


@given(st.text(alphabet="<>/ab p\n&;\"'=", max_size=200))
def test_cleaning_twice_changes_nothing(body):
    once = story_text.clean_body(body)
    assert story_text.clean_body(once) == once


@given(st.text(max_size=300))
def test_no_text_at_all_makes_a_script_or_a_handler(body):
    cleaned = story_text.clean_body(f"<p {body}>{body}<script>{body}</script><img src={body}>")
    assert "<script" not in cleaned.lower()
    assert not re.search(r"<[^>]*\son\w+\s*=", cleaned)


@pytest.mark.parametrize("opening", ["<div>", "<b>", "<blockquote>", "<div></x>", "<ul><li>"])
def test_a_megabyte_of_nested_tags_is_refused_in_a_moment(opening):
    body = opening * (MAX_BODY_BYTES // len(opening))
    began = time.monotonic()
    with pytest.raises(Invalid) as refused:
        story_text.clean_body(body)
    assert refused.value.field == "body"
    assert time.monotonic() - began < 1


def test_the_deepest_body_that_is_taken_costs_little():
    depth = markup_bounds.MAX_NESTING
    rules = "<hr>" * (markup_bounds.MAX_TAGS - 2 * depth)
    began = time.process_time()
    story_text.clean_body("<div>" * depth + rules + "</div>" * depth)
    assert time.process_time() - began < 5


HEAVY = {
    "ampersands": "&" * MAX_BODY_BYTES,
    "ampersands between ignored tags": "&amp;</x>" * (MAX_BODY_BYTES // 9),
    "a tag with 110,000 attributes": "<p " + " ".join(f"a{n}" for n in range(110_000)) + ">x</p>",
    "formatting opened again in each paragraph": "<b title=%d>" * 250 % (*range(250),)
    + "x<p>" * 8_000,
    "formatting opened again in plain paragraphs": "<b title=%d>" * 250 % (*range(250),)
    + "x\n\n" * 8_000,
    "formatting that a cell keeps open": "<b title=1><table><td></b></table>" * 1_000,
    "an end tag in an attribute": '<div title="</div>">' * 50_000,
    "an end tag in a comment": "<div><!--</div>-->" * 50_000,
    "an end tag in a script": "<div><script></div></script>" * 30_000,
    "an end tag in a drawing": "<svg><g><![CDATA[></g>]]>" * 40_000,
    "an end tag in a text field": "<div><textarea></div></textarea>" * 30_000,
    "unfinished tags": "<p <" * 250_000,
    "unfinished quotes": '<p a="' * 150_000,
    "comments without an end": "<!--" * 250_000,
    "scripts without an end": "<script>" * 120_000,
    "drawings without an end": "<svg>" * 200_000,
    "declarations without an end": "<!" * 500_000,
    "end tags of nothing without an end": "</ " * 300_000,
    "end tags of a script without an end": "<script>" + "</script " * 100_000,
    "marks that are not in order": "a" + "\u0301" * 200_000 + "\u0327" * 200_000,
    "a number of too many digits": "&#" + "9" * 1_000_000 + ";",
    "blanks": "<p>x" + " " * 1_000_000 + "</p>",
    "anchors": "<a>" * 300_000,
    "pictures": "<img>" * 200_000,
    "end tags alone": "</p>" * 250_000,
    "cells": "<table>" + "<td>" * 250_000,
}


@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
def test_no_body_costs_seconds_or_grows_beyond_bounds(body):
    began = time.process_time()
    size = 0
    with suppress(Invalid):
        size = len(story_text.clean_body(body))
    assert time.process_time() - began < 2
    assert size <= 2 * len(body) + 2 * markup_bounds.FREE_COPIES_BYTES
    assert size <= story_text.MAX_CLEAN_BYTES


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p><b>bold</p><p>still</b> not</p>", "<p><b>bold</b></p><p><b>still</b> not</p>"),
        ("<p><b>a<i>b</b>c</i></p>", "<p><b>a<i>b</i></b><i>c</i></p>"),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<p>a <b and more", "<p>a &lt;b and more</p>"),
        ("<p>a<svg><title>x</title><path/></svg>b</p>", "<p>ab</p>"),
        ("<p>a<form>b</form><font>c</font></p>", "<p>abc</p>"),
        ("<p>caf&eacute; &amp; &#2344;&nbsp;&lt;b&gt;</p>", "<p>café &amp; न&nbsp;&lt;b&gt;</p>"),
        ('<p title="a>b">c</p>', '<p title="a&gt;b">c</p>'),
        ("<q cite=javascript:x()>y</q>", "<p><q>y</q></p>"),
        ('<q CITE = " JavaScript:x()">y</q>', "<p><q>y</q></p>"),
        ("<q cite='https://a.example/'>y</q>", '<p><q cite="https://a.example/">y</q></p>'),
        ("<img alt='x' src=https://a.example/>", None),
        ('<p title="a&#1;b&#x7f;">c&#2;\ufffed</p>', '<p title="ab">cd</p>'),
    ],
)
def test_soup_is_repaired_as_before_and_hostile_values_go(body, text):
    cleaned = story_text.clean_body(body)
    if text is not None:
        assert cleaned == text
    assert story_text.clean_body(cleaned) == cleaned


def test_a_table_of_many_unclosed_cells_and_sloppy_formatting_is_taken():
    rows = "<tr><td><b>1,204</b><td><a href='https://a.example/?a=1&b=2'>More</a>" * 5_000
    anchors = "".join(f"<p><a name=p{n}>Paragraph <b>{n}<p>" for n in range(40))
    assert story_text.clean_body(f"<table>{rows}</table>{anchors}").count("<tr>") == 5_000


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1])
def test_a_body_is_measured_in_bytes_not_in_letters(size):
    story_text.clean_body("न" * (size // 3 - 1))
    with pytest.raises(Invalid):
        story_text.clean_body("न" * (size // 3 + 1))


@given(st.text(max_size=600), st.integers(min_value=1, max_value=2**63 - 1))
def test_every_headline_in_any_script_has_a_slug_fit_for_an_address(headline, story_id):
    slug = story_text.slug_of(headline, story_id)
    assert SLUG.fullmatch(slug)
    assert len(slug) <= story_text.MAX_SLUG + 10


@pytest.mark.parametrize(
    ("headline", "begins"),
    [
        ("भारत में चुनाव", "bhart-mem-cunav-"),
        ("خبر عاجل", "khbr-jl-"),
        ("Ärger für die Bahn", "arger-fur-die-bahn-"),
        ("北京", "beijing-"),
        ("🔥", "fire-"),
        ("?!…", "story-"),
        ("It's here", "its-here-"),
        ("x" * 500, "x" * 80 + "-"),
    ],
)
def test_a_slug_can_be_read(headline, begins):
    assert story_text.slug_of(headline, 42).startswith(begins)


def test_two_stories_with_one_headline_have_two_slugs():
    assert story_text.slug_of("Same", 1) != story_text.slug_of("Same", 2)


@given(st.text(max_size=100))
def test_a_plain_line_is_one_line_without_controls(text):
    line = story_text.plain_line(text, "headline", 1000)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    assert story_text.plain_line(line, "headline", 1000) == line


def test_joiners_and_narrow_spaces_of_a_headline_survive():
    for headline in ("क्‍ष", "👩‍👩‍👧", "« Bonjour » !", "می‌خواهم"):
        assert story_text.plain_line(headline, "headline", 100) == headline


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "//a.example/x",
        "/x.png",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "http://[::1",
        "data:image/png;base64,AA",
        'https://a.example/"x',
        "https://a.example:x/",
    ],
)
def test_an_image_must_have_an_absolute_web_address(url):
    with pytest.raises(Invalid) as refused:
        story_text.edit(StoryText(headline="h", body="b", image_url=url))
    assert refused.value.field == "image_url"


def test_topics_are_spelt_one_way_and_stand_once():
    assert story_text.check_topics(["/Sport/Tennis/", "sport/tennis", "world"]) == (
        "sport/tennis",
        "world",
    )
