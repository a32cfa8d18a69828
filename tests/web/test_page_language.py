"""The pages' own words, in the language of the visitor's browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from service.web import page_language
from service.web.rendering import HERE
from tests.web.conftest import Visitor

Ingest = Callable[..., dict[str, Any]]
IN_TEMPLATES = re.compile(r'\b_\("((?:[^"\\]|\\.)*)"')
NAMES = re.compile(r"\{\w+\}")


def test_of_a_long_accept_language_only_the_beginning_is_read_and_remembered():
    begin = "xx," * 30 + "fr," + "yy," * 200
    assert page_language.first_language(begin + "a" * 30_000) == "fr"
    hits = page_language._first_language.cache_info().hits
    assert page_language.first_language(begin + "b" * 30_000) == "fr"
    assert page_language._first_language.cache_info().hits == hits + 1


def sentences() -> set[str]:
    """Return every sentence that a template or a script asks for."""
    templates = (HERE / "templates").glob("*.html")
    found = [one for path in templates for one in IN_TEMPLATES.findall(path.read_text())]
    return {*found, *page_language.script_sentences()}


@pytest.mark.parametrize("language", page_language.CATALOGUES)
def test_a_catalogue_has_every_sentence_with_the_same_names(language: str) -> None:
    catalogue = page_language._catalogue(language)
    assert sentences() <= catalogue.keys()
    for sentence, words in catalogue.items():
        assert words.strip()
        assert sorted(NAMES.findall(words)) == sorted(NAMES.findall(sentence)), sentence


@pytest.mark.parametrize(
    ("header", "language", "direction", "word"),
    [
        ("", "en", "ltr", "Get alerts"),
        ("ja, *;q=0.1", "en", "ltr", "Get alerts"),
        ("hi-IN,en;q=0.8", "hi", "ltr", "अलर्ट पाएँ"),
        ("ar-EG", "ar", "rtl", "احصل على التنبيهات"),
        ("en;q=0.2, pt-BR, es-MX;q=0.9", "es", "ltr", "Recibir alertas"),
        ("de-AT", "de", "ltr", "Meldungen erhalten"),
        ("fr", "fr", "ltr", "Recevoir les alertes"),
    ],
)
def test_readers_pages_are_in_the_language_of_the_browser(
    visitor: Visitor, ingest: Ingest, header: str, language: str, direction: str, word: str
) -> None:
    story = ingest("Rain", topics=["world"])
    for path in ("/", f"/stories/{story['slug']}", "/topics", "/topics/world", "/me"):
        answer = visitor.get(path, headers={"Accept-Language": header})
        assert answer.status_code == 200
        assert f'<html lang="{language}" dir="{direction}">' in answer.text
        assert word in answer.text
    assert "Accept-Language" in visitor.get("/").headers["vary"]


def test_the_newsroom_stays_english(editor: Visitor) -> None:
    page = editor.get("/desk", headers={"Accept-Language": "hi"}).text
    assert '<html lang="en" dir="ltr">' in page
