import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web import formatting
from service.web.newsroom import text_diff

MIB = 1024 * 1024


def side(pieces, *kinds):
    return "".join(text for kind, text in pieces if kind in kinds)


TEXT = st.text(alphabet="ab \n<>", max_size=80)


@given(TEXT, TEXT)
def test_the_pieces_of_each_side_join_to_its_text(before, after):
    pieces = text_diff.diff_words(before, after)
    assert side(pieces, "same", "removed") == before
    assert side(pieces, "same", "added") == after


def test_a_changed_word_is_one_removal_and_one_addition():
    assert text_diff.diff_words("the grid holds today", "the grid held today") == [
        ("same", "the grid "),
        ("removed", "holds"),
        ("added", "held"),
        ("same", " today"),
    ]


def long_text(seed, words, size=100_000):
    draw = random.Random(seed)
    text = " ".join(draw.choice(words) for _ in range(size // 3))[:size]
    return "\n\n".join(text[n : n + 200] for n in range(0, len(text), 200))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (long_text(1, ["a", "b"]), long_text(2, ["a", "b"])),
        (long_text(1, ["a", "bc", "def"]), "def " * 25_000),
        ("x\n" * 50_000, "y\n" * 50_000),
        ("<p>" * 30_000, "<b>" * 30_000),
        ("x" * 100_000, "y" * 100_000),
    ],
    ids=["two words", "repeats", "lines", "tags", "one word"],
)
def test_two_revisions_of_100_kb_are_compared_in_bounded_time(before, after):
    began = time.process_time()
    pieces = text_diff.diff_words(before, after)
    assert time.process_time() - began < 3
    assert side(pieces, "same", "removed") == before
    assert side(pieces, "same", "added") == after


@pytest.mark.parametrize(
    "html",
    [
        "<p " * 300_000,
        "<p>x" + " " * 1_000_000 + "y</p>",
        "x\n" + "\t \xa0" * 300_000 + "y",
        "<" * MIB,
    ],
    ids=["unfinished tags", "blanks", "blanks of a line", "brackets"],
)
def test_any_body_becomes_lines_at_once(html):
    began = time.process_time()
    text_diff.plain_lines(html)
    formatting.plain(html)
    assert time.process_time() - began < 1


def test_lines_of_a_body_are_parted_by_one_blank_line():
    lines = text_diff.plain_lines("<h2>One</h2>\n<p> two <br>\t<p title='a'>three</p> \n")
    assert lines == "## One\n\ntwo\n\nthree"


def test_a_word_changed_in_a_long_text_is_still_found_alone():
    before = long_text(3, ["storm", "grid", "holds", "rain", "coast"])
    place = before.index(" grid ", 50_000)
    after = before[:place] + " network " + before[place + len(" grid ") :]
    changes = [piece for piece in text_diff.diff_words(before, after) if piece[0] != "same"]
    assert changes == [("removed", "grid"), ("added", "network")]
