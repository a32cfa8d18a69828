import pytest

from service.domain.errors import Invalid
from service.domain.language import (
    MAX_LANGUAGES,
    is_right_to_left,
    parse_accept_language,
    parse_language,
    parse_languages,
    parse_locale,
)


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("en", "en"),
        ("PT-br", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-rozaj-1994", "sl-rozaj-1994"),
        ("de-CH-1996", "de-CH-1996"),
        ("en-u-CA-buddhist", "en-u-ca-buddhist"),
        ("en-x-AA-bbbb", "en-x-aa-bbbb"),
        ("in", "id"),
        ("IW-il", "he-IL"),
        ("ji", "yi"),
        ("jw-ID", "jv-ID"),
        ("mo", "ro"),
        ("no-NO", "nb-NO"),
        ("tl-PH", "fil-PH"),
        ("sh", "sr-Latn"),
        ("sh-Cyrl-BA", "sr-Cyrl-BA"),
        ("sh-BA", "sr-Latn-BA"),
        ("prs", "fa-AF"),
        ("prs-Arab-AF", "fa-Arab-AF"),
    ],
)
def test_a_tag_has_its_usual_spelling(given, spelt):
    assert parse_language(given) == spelt


@pytest.mark.parametrize(
    "given", ["", "e", "en_US", "en-", "-en", "en us", "हिन्दी", "en-" + "a" * 9]
)
def test_what_is_no_tag_is_refused_by_the_name_of_its_field(given):
    with pytest.raises(Invalid) as refused:
        parse_language(given, "locale")
    assert refused.value.field == "locale"


def test_a_phones_locale_may_have_underscores_and_may_be_missing():
    assert parse_locale("pt_BR") == "pt-BR"
    assert parse_locale("zh_hant_TW") == "zh-Hant-TW"
    assert parse_locale("iw_IL") == "he-IL"
    assert parse_locale("zh_TW_#Hant") == "zh-Hant-TW"
    assert parse_locale("zh__#Hant") == "zh-Hant"
    assert parse_locale("") == ""
    with pytest.raises(Invalid) as refused:
        parse_locale("__")
    assert refused.value.field == "locale"


@pytest.mark.parametrize(
    "tag",
    [
        "ar",
        "ar-EG",
        "ar-arz-EG",
        "fa-IR",
        "he",
        "iw",
        "ur_PK",
        "ur-IN",
        "ks",
        "sd",
        "sd-PK",
        "ug",
        "ug-CN",
        "yi",
        "dv",
        "nqo",
        "ckb",
        "ckb-IR",
        "pnb",
        "prs",
        "ps",
        "azb",
        "syr",
        "rhg",
        "pa-Arab",
        "pa-PK",
        "PA_pk",
        "az-IR",
        "uz-AF",
        "kk-CN",
        "ku-Arab",
        "ku-IQ",
        "ff-Adlm",
        "ff-Adlm-GN",
        "ha-Arab",
        "ms-Arab-BN",
        "ur-Aran",
        "sd-Arab-IN",
        "ar-u-nu-latn",
        "ar-x-latn",
    ],
)
def test_these_are_written_from_right_to_left(tag):
    assert is_right_to_left(tag)


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "en",
        "hi",
        "ku",
        "ku-TR",
        "pa",
        "pa-IN",
        "az",
        "az-AZ",
        "uz",
        "uz-UZ",
        "kk-KZ",
        "ha",
        "ha-NG",
        "ff",
        "ms",
        "ks-Deva",
        "ks-Deva-IN",
        "sd-IN",
        "sd-Deva",
        "ug-KZ",
        "ar-Latn",
        "ar-Latn-EG",
        "az-Latn-IR",
        "en-IR",
        "en-x-arab",
        "en-u-nu-arab",
        "mt",
        "zz",
    ],
)
def test_these_are_written_from_left_to_right(tag):
    assert not is_right_to_left(tag)


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("", ()),
        ("*", ()),
        ("hi-IN,hi;q=0.9,en-US;q=0.8,en;q=0.7", ("hi-IN", "hi", "en-US", "en")),
        ("en;q=0.2, iw;q=0.9", ("he", "en")),
        ("fr;q=0, de", ("de",)),
        ("de;q=2, fr;q=1.000, it;level=1", ("fr",)),
        ("pt_BR, not a tag, es", ("es",)),
        (",;q=1,,", ()),
        ("en," * 5000, ("en",)),
    ],
)
def test_a_browser_says_which_languages_its_reader_reads(header, languages):
    assert parse_accept_language(header) == languages


def test_a_reader_reads_so_many_languages_at_most():
    tags = [f"a{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert len(parse_accept_language(",".join(tags))) == MAX_LANGUAGES
    with pytest.raises(Invalid, match="At most"):
        parse_languages(tags)
    assert parse_languages(["no", "nb", "PT-br"]) == ("nb", "pt-BR")
