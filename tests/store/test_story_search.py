"""Stories are found however a word is typed, and the index is what answers."""

import pytest
from sqlalchemy import text

from service.domain.story import StoryState
from service.store.stories import stories, story_search
from tests.builders import a_story, a_topic

HEADLINES = (
    "Müller wins",
    "Straße nach Köln",
    "東京で地震",
    "Rain in Čáslav",
    "Co-operation at last",
    "U.S. grows by 3.5 percent",
)


@pytest.fixture
def headlines(session):
    for headline in HEADLINES:
        a_story(session, headline=headline)
    session.flush()
    return HEADLINES


@pytest.mark.parametrize(
    ("typed", "headline"),
    [
        ("Müller", "Müller wins"),
        ("Mu\u0308ller", "Müller wins"),
        ("MÜLLER WINS", "Müller wins"),
        ("muller", "Müller wins"),
        ("Mül\u00adler", "Müller wins"),
        ("\uff2d\uff35\uff2c\uff2c\uff25\uff32", "Müller wins"),
        ("wins mül", "Müller wins"),
        ("köln straße", "Straße nach Köln"),
        ("caslav", "Rain in Čáslav"),
        ("東京", "東京で地震"),
        ("co-operation", "Co-operation at last"),
        ("u.s. GROWS", "U.S. grows by 3.5 percent"),
        ("“U.S.” 3.5", "U.S. grows by 3.5 percent"),
    ],
)
def test_a_story_is_found_however_its_words_are_typed(session, headlines, typed, headline):
    results = stories.search(session, typed).items
    assert [story.text.headline for story in results] == [headline]
    on_the_desk = stories.page(session, words=typed).items
    assert [story.text.headline for story in on_the_desk] == [headline]


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "!!", "'", "a' | 'b", "a'b.c", "x.y\\\\", "a\0b", "\\", "nothing such", ":*", "&"],
)
def test_what_is_no_word_finds_nothing_and_breaks_nothing(session, headlines, typed):
    assert stories.search(session, typed).items == []
    assert stories.similar(session, typed) == []
    stories.page(session, words=typed)


def test_the_desk_finds_what_has_no_spaces_between_its_words(session, headlines):
    assert [story.text.headline for story in stories.page(session, words="地震").items] == [
        "東京で地震"
    ]


@pytest.mark.parametrize(
    ("language", "headline", "typed"),
    [
        ("en-GB", "Flooding in the harbours", "the harbour floods"),
        ("de", "Häuser werden teurer", "haus"),
        ("fr-CA", "Les journaux indépendants", "journal indépendante"),
        ("ru", "ЦЕНЫ снова растут", "цена"),
        ("nb", "Båtene er tilbake", "båten"),
        ("pt-BR", "Governos cautelosos", "governo cauteloso"),
    ],
)
def test_other_forms_of_a_word_are_found_by_the_rules_of_the_storys_language(
    session, language, headline, typed
):
    a_story(session, headline=headline, language=language)
    a_story(session, headline="Something else")
    assert [story.text.headline for story in stories.search(session, typed).items] == [headline]


def test_a_language_without_a_stemmer_is_searched_by_its_words(session):
    a_story(session, headline="Tulvat jatkuvat", language="et", summary="")
    assert len(stories.search(session, "tulvat").items) == 1
    assert stories.search(session, "flooding").items == []


def test_a_search_may_be_of_one_topic(session):
    for topic in ("sport/rowing", "world"):
        a_topic(session, topic)
        a_story(session, headline=f"Rain over {topic}", topics=[topic])
    results = stories.search(session, "rain over", "world").items
    assert [story.text.headline for story in results] == ["Rain over world"]


@pytest.mark.parametrize(
    ("typed", "headline"),
    [
        ("Zelenski", "Zelenskyy in Berlin"),
        ("Merkle", "Merkel wins"),
        ("Muler", "Müller wins"),
        ("Zelenski of Berln", "Zelenskyy in Berlin"),
        ("xyzzy", None),
        ("zz", None),
    ],
)
def test_names_typed_wrongly_are_found_where_postgresql_can_compare(session, typed, headline):
    if not session.scalar(text("SELECT to_regclass('story_names') IS NOT NULL")):
        pytest.skip("this PostgreSQL comes without pg_trgm")
    for each in ("Zelenskyy in Berlin", "Merkel wins", "Müller wins"):
        a_story(session, headline=each)
    assert stories.search(session, typed).items == []
    results = stories.similar(session, typed)
    assert [story.text.headline for story in results] == [headline] * (headline is not None)


def test_without_the_extension_nothing_is_similar_and_nothing_breaks(session, headlines):
    session.execute(text("DROP INDEX IF EXISTS story_names"))
    assert stories.similar(session, "Muler") == []
    session.rollback()


def test_readers_find_public_stories_only_by_the_index(session, headlines):
    session.execute(text("UPDATE story SET state = 'draft' WHERE headline LIKE 'M%'"))
    assert stories.search(session, "muller").items == []
    assert StoryState.DRAFT in {story.state for story in stories.page(session, words="mul").items}
    session.execute(text("SET LOCAL enable_seqscan = off"))
    query = story_search.holds_words("muller").compile(
        session.get_bind(), compile_kwargs={"literal_binds": True}
    )
    plan = session.execute(text(f"EXPLAIN SELECT 1 FROM story WHERE {query}".replace(":*", r"\:*")))
    steps = "".join(row[0] for row in plan)
    assert "story_words" in steps
    assert "story_stems" in steps


def test_words_that_no_story_has_are_looked_up_before_stories_are_read(session, headlines):
    """PostgreSQL would walk the stories from the newest on and compute the words of each."""
    story_search.prefer_indexes(session)
    query = story_search.holds_words("nobody").compile(
        session.get_bind(), compile_kwargs={"literal_binds": True}
    )
    order = "ORDER BY published_at DESC, id DESC LIMIT 51"
    public = "state IN ('published', 'corrected')"
    statement = f"EXPLAIN SELECT id FROM story WHERE {public} AND {query} {order}"
    plan = [row[0] for row in session.execute(text(statement.replace(":*", r"\:*")))]
    assert not any("to_tsvector" in step for step in plan if "Filter:" in step), plan
    assert "story_words" in "".join(plan)
