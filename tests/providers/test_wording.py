"""Which words a device reads, and how they are shortened."""

import json

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from service.domain.alert import Words
from tests.providers.examples import alert_content
from workers.provider_kit.alert_text import (
    ByLocale,
    choose,
    fit,
    json_size,
    shorten,
    words_in,
)

ELLIPSIS = "…"


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        ("hi", "hi"),
        ("hi-IN", "hi"),
        ("HI_in", "hi"),
        ("hi_IN.UTF-8", "hi"),
        ("hi_IN@currency=INR", "hi"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-Hans-CN", "zh"),
        ("zh-Hant-x-private-TW", "zh-Hant"),
        ("de-CH", ""),
        ("en-GB", ""),
        ("", ""),
        ("*", ""),
        ("-", ""),
        ("x", ""),
    ],
)
def test_a_device_reads_the_words_that_rfc_4647_looks_up(locale, tag):
    words = Words("t", "b")
    content = alert_content(words={"": words, "hi": words, "zh": words, "zh-Hant": words})
    assert choose(locale, content) == tag


def test_a_device_in_the_storys_own_language_reads_the_storys_words():
    words = Words("t", "b")
    content = alert_content(language="zh-Hant", words={"": words, "zh": words})
    assert choose("zh-Hant-TW", content) == ""
    assert choose("zh-CN", content) == "zh"


def test_words_are_made_once_a_language_however_many_locales_lead_to_it():
    made = []
    content = alert_content(words={"": Words("a", "b"), "hi": Words("c", "d")})
    forms = ByLocale(content, lambda words, language: made.append(language) or words.title)
    assert [forms[locale] for locale in ("hi", "hi-IN", "en", "fr", "hi")] == list("ccaac")
    assert made == ["hi", "en"]


FAMILY, FLAG = "👨‍👩‍👧‍👦", "🇮🇳"


@pytest.mark.parametrize(
    "cluster", ["क्ष", "त्रि", "नी", "స్త్రీ", FAMILY, FLAG, "👍🏽", "e\u0301", "각"]
)
def test_what_a_reader_sees_as_one_character_is_never_cut(cluster):
    text = cluster * 6
    for room in range(json_size(text)):
        kept = shorten(text, room)
        assert json_size(kept) <= room
        whole, mark, rest = kept.partition(ELLIPSIS)
        assert rest == ""
        if json_size(cluster + ELLIPSIS) <= room:
            assert mark
            assert whole == cluster * (len(whole) // len(cluster))
            assert whole


def test_what_fits_stays_as_it_is():
    assert shorten("Rain at last", 12) == "Rain at last"
    assert fit(Words("Rain", "It rains."), 13) == (Words("Rain", "It rains."), False)


def test_the_body_gives_way_before_the_title():
    words, shortened = fit(Words("Rain at last", "It rains everywhere."), 20)
    assert shortened
    assert words == Words("Rain at last", "It ra…")


def test_the_title_gives_way_when_the_body_is_gone():
    words, shortened = fit(Words("Rain at last", "It rains."), 10)
    assert shortened
    assert words == Words("Rain at…", "")


def test_no_space_is_left_before_the_ellipsis():
    assert shorten("Rain at last", 8) == "Rain…"


def test_a_heap_of_marks_larger_than_the_room_is_cut_all_the_same():
    heap = "z" + "\u0301" * 1000
    kept = shorten(heap, 100)
    assert kept.endswith(ELLIPSIS)
    assert 90 < json_size(kept) <= 100


@given(st.text(), st.integers(-5, 80))
def test_shortened_text_fits_and_is_a_beginning(text, room):
    text = text.encode("utf-8", "replace").decode()
    kept = shorten(text, room)
    assert json_size(kept) <= max(room, 0)
    if kept != text and kept:
        assert kept.endswith(ELLIPSIS)
        assert text.startswith(kept.removesuffix(ELLIPSIS))


@given(
    st.lists(st.sampled_from(["क्ष", FAMILY, FLAG, "a", " ", "\n", '"', "न"]), max_size=30),
    st.data(),
)
def test_shortened_text_ends_between_graphemes(parts, data):
    text = "".join(parts)
    kept = shorten(text, data.draw(st.integers(15 + len(FAMILY.encode()), 400)))
    if kept != text:
        beginnings = {""}
        for cluster in regex.findall(r"\X", text):
            beginnings.add(max(beginnings, key=len) + cluster)
        assert kept.removesuffix(ELLIPSIS) in {beginning.rstrip() for beginning in beginnings}


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_the_size_is_what_json_takes(text):
    assert json_size(text) == len(json.dumps([text], ensure_ascii=False).encode()) - 4


def test_a_line_that_begins_with_a_foreign_name_is_marked_as_right_to_left():
    content = alert_content(language="ar", title="UNICEF: مطر", body="مطر\nNASA: مطر\n\n2026")
    words, language = words_in("", content)
    assert language == "ar"
    assert words.title == "\u200fUNICEF: مطر"
    assert words.body == "مطر\n\u200fNASA: مطر\n\n\u200f2026"


def test_left_to_right_text_is_left_alone():
    content = alert_content(title="نادي beats all")
    assert words_in("", content)[0].title == "نادي beats all"


def test_half_a_surrogate_pair_does_not_stop_an_alert():
    words, _ = words_in("", alert_content(title="Rain \ud83d"))
    assert words.title == "Rain ?"
