import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.incoming import Report
from service.formats.markup import (
    MAX_BODY_BYTES,
    body_html,
    first_image,
    first_paragraph,
    is_readable,
    pixels,
    text_html,
    without_repeated_headline,
)
from service.formats.markup_bounds import MAX_NESTING

BASE = "https://news.example/world/story.html"


def body(markup, base=BASE):
    report = Report()
    return body_html(markup, base, report, "body"), report


@pytest.mark.parametrize(
    ("markup", "safe"),
    [
        ("One\n\nTwo", "<p>One</p>\n<p>Two</p>"),
        ("5 < 6 & AT&amp;T", "<p>5 &lt; 6 &amp; AT&amp;T</p>"),
        ("<p onclick=x>a<script>b</script></p>", "<p>a</p>"),
        ("<h1>Head</h1><p>x</p>", "<h2>Head</h2><p>x</p>"),
        (
            '<p><a href="/a">x</a></p>',
            '<p><a href="https://news.example/a" rel="noopener noreferrer">x</a></p>',
        ),
        ('<p><a href="javascript:x">x</a></p>', '<p><a rel="noopener noreferrer">x</a></p>'),
        (
            '<p><a href="mailto:a@b.example">x</a></p>',
            '<p><a href="mailto:a@b.example" rel="noopener noreferrer">x</a></p>',
        ),
        (
            '<p><img src="p.jpg" alt="A &quot;b&quot; > c" onerror=x></p>',
            '<p><img src="https://news.example/world/p.jpg" alt="A &quot;b&quot; &gt; c"></p>',
        ),
        (
            '<img src="http://cdn.example/p.jpg" width="640px" height=x>',
            '<p><img src="https://cdn.example/p.jpg" alt="" width="640"></p>',
        ),
        (
            '<p><img src="data:image/gif;base64,R0" data-src="/real.jpg"></p>',
            '<p><img src="https://news.example/real.jpg" alt=""></p>',
        ),
        (
            '<p><img srcset="/s.jpg 1x, /l.jpg 2x"></p>',
            '<p><img src="https://news.example/s.jpg" alt=""></p>',
        ),
        ("<p>a&#11;b&#xFFFE;c</p>", "<p>abc</p>"),
        ("<p title='a&#11;b'>c</p>", '<p title="ab">c</p>'),
        ("<html><head><title>T</title></head><body><p>x</p></body></html>", "<p>x</p>"),
        ("a <b>bold</b> word", "<p>a <b>bold</b> word</p>"),
        ("<p>x</p><p></p><figure> </figure>", "<p>x</p>"),
    ],
)
def test_a_body_becomes_safe_html_with_absolute_links(markup, safe):
    html, report = body(markup)
    assert html == safe
    assert not report.flaws


def test_brackets_and_quotes_in_attributes_open_no_tag():
    title = """<img src="x" onerror="y"><a href='z'>"""
    written = title.replace('"', "&quot;")
    html, _ = body(f"""<p title="{written}" lang=' src="/s" '>a <q cite="/c">b</q></p>""")
    assert re.findall(r"<(/?\w+)", html) == ["p", "q", "/q", "/p"]
    assert 'cite="https://news.example/c"' in html
    assert "onerror=&quot;y&quot;" in html


@pytest.mark.parametrize(
    "picture",
    ['<img alt="x">', '<img src="data:image/png;base64,AA">', '<img src="http://a.example:81/x">'],
)
def test_a_picture_without_an_address_over_https_is_left_out_with_a_remark(picture):
    html, report = body(f"<p>words</p><figure>{picture}</figure>")
    assert html == "<p>words</p>"
    assert [remark.place for remark in report.remarks] == ["body"]


def test_a_counting_pixel_is_no_picture():
    html, report = body('<p>x</p><img src="https://count.example/p" width="1" height="1">')
    assert html == "<p>x</p>"
    assert "pixel" in report.remarks[0].fault


def test_a_relative_picture_without_a_base_is_left_out_and_named():
    html, report = body('<p>x <img src="images/p.jpg"></p>', base=None)
    assert html == "<p>x </p>"
    assert "images/p.jpg" in report.remarks[0].fault


def test_a_body_that_is_too_large_is_a_flaw():
    html, report = body("x" * (MAX_BODY_BYTES + 1))
    assert html == ""
    assert "1,048,577 bytes" in report.flaws[0].fault


@pytest.mark.timeout(30)
@pytest.mark.parametrize("tag", ["div", "b", "blockquote", "unknown"])
def test_deep_nesting_is_refused_before_it_is_parsed(tag):
    _, report = body(f"<{tag}>" * 80_000)
    assert str(MAX_NESTING) in report.flaws[0].fault


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "markup", ["<p " + "a " * 110_000 + ">", "&" * 1_000_000, '<div title="</div>">' * 50_000]
)
def test_markup_that_would_cost_seconds_is_a_flaw(markup):
    html, report = body(markup)
    assert html == ""
    assert report.flaws


@given(st.text(alphabet="<>/abpimgsrch =\"'&;#x\n", max_size=200))
def test_cleaning_a_body_twice_changes_nothing(markup):
    once, _ = body(markup)
    twice, _ = body(once)
    assert twice == once


@given(st.text(max_size=200))
def test_no_text_at_all_makes_a_script_a_handler_or_a_relative_picture(text):
    html, _ = body(f"<p {text}>{text}<script>{text}</script><img src='{text}' {text}>")
    assert "<script" not in html.lower()
    assert not re.search(r"<[^>]*\son\w+\s*=", html)
    assert all(src.startswith("https://") for src in re.findall(r'<img src="([^"]*)"', html))


def test_plain_text_keeps_its_lines_and_needs_no_markup():
    assert text_html("a < b\nc\n\nd & <b>") == "<p>a &lt; b<br>\nc</p>\n<p>d &amp; &lt;b&gt;</p>"


def test_a_heading_that_repeats_the_headline_is_dropped():
    assert without_repeated_headline("<h2>The Storm</h2><p>x</p>", "The storm") == "<p>x</p>"
    assert without_repeated_headline("<section><h2>Storm</h2><p>x</p></section>", "Storm") == (
        "<section><p>x</p></section>"
    )
    assert without_repeated_headline("<h2>Other</h2>", "Storm") == "<h2>Other</h2>"


def test_the_first_words_and_the_first_picture_of_a_body_can_be_found():
    html = (
        '<figure><img src="https://a.example/p.jpg" alt="A &amp; B"></figure><p>One <b>two</b></p>'
    )
    assert first_paragraph(html) == "One two"
    assert first_image(html) == ("https://a.example/p.jpg", "A & B")
    assert first_image("<p>x</p>") is None


def test_a_body_is_readable_with_words_or_with_a_picture():
    assert is_readable("<p>x</p>")
    assert is_readable('<img src="https://a.example/p.jpg">')
    assert not is_readable("<p>\u200b</p>")


@pytest.mark.parametrize(
    ("text", "size"),
    [(640, 640), ("640", 640), ("640px", 640), ("100%", None), ("", None), (0, None), (1.5, None)],
)
def test_sizes_are_whole_pixels(text, size):
    assert pixels(text) == size
