from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.domain.errors import Invalid, Refusal
from service.formats.composing import StoryFacts, compose
from service.formats.incoming import (
    MAX_FLAWS,
    MAX_URI,
    BrokenStory,
    Flaw,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Report,
    single,
)

STORY = IncomingStory(uri="urn:x:1", headline="H", body="<p>b</p>", topics=("sport",))


def composed(**facts):
    members = {"uri": "urn:x:1", "headline": "H"} | facts
    base = StoryFacts(place="$", uri_place="$.uri", headline_place="$.headline", **members)
    return compose(base, Report())


@pytest.mark.parametrize(
    "change",
    [
        {"headline": "I"},
        {"summary": "s"},
        {"body": "<p>c</p>"},
        {"author": "Ann"},
        {"language": "de"},
        {"topics": ()},
        {"image": Picture(url="https://a.example/p")},
        {"urgency": 1},
        {"status": PublicationStatus.CANCELED},
        {"embargo_until": datetime(2026, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_the_content_hash_changes_with_what_readers_see(change):
    assert replace(STORY, **change).content_hash != STORY.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"version": 5},
        {"updated_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"published_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"remarks": (Flaw("a", "b"),)},
        {"uri": "urn:x:2"},
    ],
)
def test_the_content_hash_does_not_change_with_versions_and_dates(change):
    assert replace(STORY, **change).content_hash == STORY.content_hash


@pytest.mark.parametrize(
    ("uri", "is_global"),
    [
        ("urn:newsml:a.example:1", True),
        ("https://a.example/1", True),
        ("tag:a.example,2026:1", True),
        ("storm-1", False),
        ("123", False),
        ("two words: x", False),
    ],
)
def test_a_bare_id_is_not_taken_for_a_name_beyond_its_source(uri, is_global):
    assert replace(STORY, uri=uri).uri_is_global is is_global


def test_a_malformed_document_is_an_invalid_field_of_the_domain_and_names_at_most_twenty():
    error = MalformedDocument(Flaw(f"$.a[{n}]", "is wrong") for n in range(50))
    assert isinstance(error, Invalid)
    assert isinstance(error, Refusal)
    assert len(error.flaws) == MAX_FLAWS
    assert error.field == "$.a[0]"
    assert error.detail.startswith("$.a[0]: is wrong; $.a[1]: is wrong")


def test_one_story_is_taken_out_of_one_only():
    assert single((STORY,)) is STORY
    with pytest.raises(MalformedDocument, match="2 stories"):
        single((STORY, STORY))
    with pytest.raises(MalformedDocument, match="wrong"):
        single((BrokenStory("$", "", (Flaw("$", "wrong"),)),))


def test_names_are_compared_in_nfc_without_line_breaks():
    assert composed(uri=" urn:Mu\u0308ller\n:1 ").uri == "urn:M\u00fcller:1"
    assert composed(uri="x" * (MAX_URI + 1)).flaws[0].place == "$.uri"


def test_a_headline_of_nothing_visible_is_missing():
    assert composed(headline="<b>\u200b</b>&nbsp;").flaws == (
        Flaw("$.headline", "is missing: a story needs a headline"),
    )


def test_a_line_that_is_too_long_is_cut_and_remarked():
    story = composed(headline="word " * 200)
    assert len(story.headline) <= 500
    assert story.remarks[0].place == "$.headline"


def test_a_summary_that_repeats_the_headline_is_dropped_and_an_empty_body_is_filled():
    story = composed(summary="H")
    assert (story.summary, story.body) == ("", "<p>H</p>")
    assert composed(summary="a < b").body == "<p>a &lt; b</p>"


def test_the_first_picture_of_the_body_stands_in_where_there_is_no_other():
    story = composed(body='<p><img src="https://a.example/p.jpg" alt="P &amp; Q"></p>')
    assert story.image == Picture(url="https://a.example/p.jpg", alt="P & Q")
    assert story.pictures == ()
