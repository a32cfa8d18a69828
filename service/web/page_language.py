"""The language of a page's own words: one that the visitor reads and we have a catalogue for.

A catalogue is `catalogues/<language>.json`: by the English sentence, as the templates and scripts
have it, the sentence in that language. What a catalogue lacks stays English.
"""

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import pass_context
from jinja2.runtime import Context

from service.domain.language import base_language, parse_accept_language

HERE = Path(__file__).parent
DEFAULT = "en"
CATALOGUES = ("ar", "de", "es", "fr", "hi")
LONGEST_READ = 512
"""Characters of an `Accept-Language` that are read; browsers write fewer than 200."""
_OBSTACLES = re.compile(r'\bobstacle\("[a-z-]+", "((?:[^"\\]|\\.)*)"')
_IN_SCRIPTS = re.compile(r'(?<![.\w])say\(\s*"((?:[^"\\]|\\.)*)"')


def choose_language(request: Request) -> str:
    """Return the first language of the visitor's browser that our pages have."""
    return first_language(request.headers.get("accept-language", ""))


def first_language(header: str) -> str:
    """Return the first language of an `Accept-Language` that our pages have."""
    return _first_language(header[:LONGEST_READ])


@lru_cache(1024)
def _first_language(header: str) -> str:
    bases = map(base_language, parse_accept_language(header))
    return next((base for base in bases if base in (DEFAULT, *CATALOGUES)), DEFAULT)


def translate(language: str, sentence: str) -> str:
    """Return the sentence in a language; as it is where the catalogue lacks it."""
    return _catalogue(language).get(sentence, sentence)


@pass_context
def in_page_language(context: Context, sentence: str, **values: Any) -> str:
    """Return a sentence of a template in the page's language, its `{names}` replaced by values."""
    text = translate(context.get("page_language", DEFAULT), sentence)
    return text.format(**values) if values else text


@cache
def script_words(language: str) -> Mapping[str, str]:
    """Return what the scripts of readers' pages say, by the English sentence."""
    return {
        sentence: translate(language, sentence)
        for sentence in sorted(script_sentences())
        if translate(language, sentence) != sentence
    }


@cache
def script_sentences() -> frozenset[str]:
    """Return the sentences that the scripts ask for by `say`, and the kit's obstacles."""
    scripts = (HERE / "static" / "js").glob("*.js")
    said = [one for script in scripts for one in _IN_SCRIPTS.findall(script.read_text())]
    obstacles = _OBSTACLES.findall((HERE / "static" / "kit" / "subscription.js").read_text())
    return frozenset([*said, *obstacles])


@cache
def _catalogue(language: str) -> Mapping[str, str]:
    if language not in CATALOGUES:
        return {}
    text = (HERE / "catalogues" / f"{language}.json").read_text(encoding="utf-8")
    catalogue: dict[str, str] = json.loads(text)
    return catalogue
