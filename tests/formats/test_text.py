import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from service.formats.text import clean_text, plain_line, says_something, search_key, shorten


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain", "plain"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("a\x0bb\x00c\x1bd", "abcd"),
        ("a\ufffeb\uffffc\ufdd0d\U0001fffee", "abcde"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("next\x85line", "next\nline"),
        ("Windows \x93quotes\x94 and \x96 dash", "Windows \u201cquotes\u201d and \u2013 dash"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
    ],
)
def test_a_text_is_stored_as_nfc_without_what_xml_forbids(text, clean):
    assert clean_text(text) == clean


def test_marks_in_order_stay_and_of_those_that_are_not_the_first_thirty():
    in_order = "\u0229" + "\u0308" * 60
    assert clean_text(in_order) == in_order
    assert clean_text("a" + "\u0308\u0327" * 60 + "b") == (
        "\xe4" + "\u0327" * 15 + "\u0308" * 14 + "b"
    )


@given(st.text(alphabet="aK\u0301\u0327\u0958\u0344\u0338\u1100\u1161", min_size=30, max_size=90))
def test_marks_in_any_order_are_cleaned_once(text):
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)


def test_a_reference_to_no_character_breaks_nothing():
    assert plain_line("a &#" + "9" * 5_000 + "; b") == "a \ufffd b"


@given(st.text())
def test_any_text_can_be_put_into_xml_and_cleaning_it_again_changes_nothing(text):
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    element = etree.Element("t")
    element.text = clean
    read = etree.fromstring(etree.tostring(element, encoding="utf-8")).text or ""
    assert read.replace("\r", "\n") == clean.replace("\r", "\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Smith &amp; Sons&#8217;", "Smith & Sons\u2019"),
        ("AT&amp;amp;T", "AT&T"),
        ("A&#38;#38;B", "A&B"),
        ("<b>Bold</b> word", "Bold word"),
        ("<p>One</p><p>Two</p>", "One Two"),
        ("One<br/>Two", "One Two"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("I <3 you", "I <3 you"),
        ("a <unknown> b", "a <unknown> b"),
        ("x<script>alert(1)</script>y", "x y"),
        ("x&lt;script&gt;alert(1)&lt;/script&gt;y", "x y"),
        ("a<!-- b -->c", "a c"),
        ("<![CDATA[Title]]>", "Title"),
        ("two\n\n  lines\u2028here", "two lines here"),
        ("&nbsp;spaced&nbsp;out&nbsp;", "spaced\xa0out"),
        ("it&#146;s", "it\u2019s"),
        ("&#11;&#xFFFE;x", "x"),
        ("R&D and Q&A; fine", "R&D and Q&A; fine"),
        ("<em>un</em>closed <a href='x", "unclosed <a href='x"),
    ],
)
def test_a_headline_becomes_one_plain_line(text, line):
    assert plain_line(text) == line


@given(st.text(alphabet="<>/&;#abp sxcrit!-3840'\"=\n", max_size=80))
def test_making_a_line_plain_twice_changes_nothing(text):
    once = plain_line(text)
    assert plain_line(once) == once
    assert "\n" not in once


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "unit", ["<script>", "<!--", "&#38;#38;", "<script></style>", "<a ", "&amp;", "<", "&", "<p>"]
)
def test_hostile_lines_cost_no_more_than_their_length(unit):
    plain_line(unit * (100_000 // len(unit)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("M\u00fcller", "mu\u0308ller"),
        ("M\u00dcLLER", "m\u00fcller"),
        ("\uff21\uff22\uff23 news", "abc news"),
        ("Stra\u00dfe", "STRASSE"),
        ("co\u00adoperate", "cooperate"),
        ("zero\u200bwidth", "zerowidth"),
        ("a\ufe0fb", "ab"),
        ("\ufb01nance", "finance"),
        ("two  spaces", "two spaces"),
        (
            "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
            "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3",
        ),
    ],
)
def test_what_a_person_calls_the_same_has_one_search_key(one, other):
    assert search_key(one) == search_key(other)


@given(st.text())
def test_a_search_key_is_the_same_for_every_normal_form(text):
    keys = {
        search_key(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")
    }
    assert len(keys) == 1
    key = keys.pop()
    assert search_key(key) == key


def test_shortening_prefers_whole_sentences_and_then_whole_words():
    assert shorten("One two. Three four five.", 15) == "One two."
    assert shorten("One two three four", 12) == "One two\u2026"
    assert shorten("short", 12) == "short"


@given(st.text(), st.integers(2, 50))
def test_a_shortened_line_is_never_too_long(text, longest):
    assert len(shorten(text, longest)) <= longest


def test_invisible_characters_say_nothing():
    assert not says_something(" \u200b\u00ad\n")
    assert says_something("\u200bx")
