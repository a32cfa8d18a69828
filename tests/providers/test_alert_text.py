"""The words that a device reads: their language, their direction, and how they are shortened."""

import json

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from service.domain.alert import Words
from tests.providers.examples import alert_content
from workers.provider_kit.alert_text import (
    choose_language,
    fit_words,
    json_size,
    shorten_text,
    words_for,
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
    assert choose_language(locale, content) == tag


def test_a_device_in_the_storys_own_language_reads_the_storys_words():
    words = Words("t", "b")
    content = alert_content(language="zh-Hant", words={"": words, "zh": words})
    assert choose_language("zh-Hant-TW", content) == ""
    assert choose_language("zh-CN", content) == "zh"


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("in-ID", "id"),
        ("iw_IL", "he"),
        ("ji", "yi"),
        ("jw", "jv"),
        ("mo-MD", "ro"),
        ("he-IL", "iw"),
        ("id", "in"),
        ("no", "nb"),
        ("nb-NO", "no"),
        ("nn-NO", "nb"),
        ("nn-NO", "no"),
        ("tl", "fil"),
        ("fil-PH", "tl"),
        ("cmn-CN", "zh"),
        ("zh-TW", "zh-Hant"),
        ("zh_HK", "zh-Hant"),
        ("zh-CN", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-Hant", "zh-TW"),
        ("zh-Hant-TW", "zh-TW"),
        ("zh-HK", "zh-TW"),
        ("zh-Hans-SG", "zh-CN"),
        ("zh-TW", "zh"),
        ("sr-ME", "sr-Latn"),
        ("sr-RS", "sr-Cyrl"),
        ("sh", "sr-Latn"),
        ("pa-PK", "pa-Arab"),
        ("pt-BR", "pt"),
    ],
)
def test_a_device_finds_the_text_that_has_another_name_for_its_language(locale, text):
    words = Words("t", "b")
    content = alert_content(words={"": words, text: words, "qaa": words})
    assert choose_language(locale, content) == text


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("zh-TW", "zh-Hans"),
        ("zh-CN", "zh-TW"),
        ("sr-RS", "sr-Latn"),
        ("pt-PT", "pt-BR"),
        ("nb", "nn"),
        ("en-IN", "in"),
    ],
)
def test_a_device_gets_no_text_in_another_script_or_language(locale, text):
    words = Words("t", "b")
    assert choose_language(locale, alert_content(words={"": words, text: words})) == ""


def test_the_text_in_a_devices_own_script_comes_first():
    words = Words("t", "b")
    content = alert_content(
        language="zh", words={"": words, "zh-Hant": words, "zh-TW": words, "zh-Hans": words}
    )
    assert choose_language("zh-TW", content) == "zh-TW"
    assert choose_language("zh-HK", content) == "zh-Hant"
    assert choose_language("zh-CN", content) == "zh-Hans"
    assert choose_language("zh", content) == "zh-Hans"


def test_a_story_in_hebrew_is_in_the_language_of_android_too():
    words = Words("t", "b")
    content = alert_content(language="he", words={"": words, "en": words})
    assert choose_language("iw-IL", content) == ""


FAMILY, FLAG = "👨‍👩‍👧‍👦", "🇮🇳"


@pytest.mark.parametrize(
    "cluster", ["क्ष", "त्रि", "नी", "స్త్రీ", FAMILY, FLAG, "👍🏽", "e\u0301", "각"]
)
def test_what_a_reader_sees_as_one_character_is_never_cut(cluster):
    text = cluster * 6
    for room in range(json_size(text)):
        shortened = shorten_text(text, room)
        assert json_size(shortened) <= room
        whole, mark, rest = shortened.partition(ELLIPSIS)
        assert rest == ""
        if json_size(cluster + ELLIPSIS) <= room:
            assert mark
            assert whole == cluster * (len(whole) // len(cluster))
            assert whole


def test_what_fits_stays_as_it_is():
    assert shorten_text("Rain at last", 12) == "Rain at last"
    assert fit_words(Words("Rain", "It rains."), 13) == Words("Rain", "It rains.")


def test_the_body_is_shortened_before_the_title():
    words = fit_words(Words("Rain at last", "It rains everywhere."), 20)
    assert words == Words("Rain at last", "It ra…")


def test_the_title_is_shortened_when_nothing_of_the_body_is_left():
    words = fit_words(Words("Rain at last", "It rains."), 10)
    assert words == Words("Rain at…", "")


def test_no_space_is_left_before_the_ellipsis():
    assert shorten_text("Rain at last", 8) == "Rain…"


def test_a_grapheme_that_is_too_long_by_itself_is_cut():
    grapheme = "z" + "\u0301" * 1000
    shortened = shorten_text(grapheme, 100)
    assert shortened.endswith(ELLIPSIS)
    assert 90 < json_size(shortened) <= 100


@given(st.text(), st.integers(-5, 80))
def test_shortened_text_fits_and_is_a_beginning(text, room):
    text = text.encode("utf-8", "replace").decode()
    shortened = shorten_text(text, room)
    assert json_size(shortened) <= max(room, 0)
    if shortened not in {text, ""}:
        assert shortened.endswith(ELLIPSIS)
        assert text.startswith(shortened.removesuffix(ELLIPSIS))


@given(
    st.lists(st.sampled_from(["क्ष", FAMILY, FLAG, "a", " ", "\n", '"', "न"]), max_size=30),
    st.data(),
)
def test_shortened_text_ends_between_graphemes(parts, data):
    text = "".join(parts)
    shortened = shorten_text(text, data.draw(st.integers(15 + len(FAMILY.encode()), 400)))
    if shortened != text:
        beginnings = {""}
        for cluster in regex.findall(r"\X", text):
            beginnings.add(max(beginnings, key=len) + cluster)
        assert shortened.removesuffix(ELLIPSIS) in {beginning.rstrip() for beginning in beginnings}


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_the_size_is_what_json_takes(text):
    assert json_size(text) == len(json.dumps([text], ensure_ascii=False).encode()) - 4


def test_a_line_that_begins_with_a_foreign_name_is_marked_as_right_to_left():
    content = alert_content(language="ar", title="UNICEF: مطر", body="مطر\nNASA: مطر\n\n2026")
    words, language = words_for("", content)
    assert language == "ar"
    assert words.title == "\u200fUNICEF: مطر"
    assert words.body == "مطر\n\u200fNASA: مطر\n\n\u200f2026"


def test_left_to_right_text_is_left_alone():
    content = alert_content(title="نادي beats all")
    assert words_for("", content)[0].title == "نادي beats all"


def test_half_a_surrogate_pair_does_not_stop_an_alert():
    words, _ = words_for("", alert_content(title="Rain \ud83d"))
    assert words.title == "Rain ?"
