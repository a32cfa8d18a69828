"""Stories are found however a word is typed, and the index is what answers."""

import pytest
from sqlalchemy import text

from service.domain.story import StoryState
from service.store.stories import stories
from tests.builders import a_story

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


def test_the_desk_finds_what_has_no_spaces_between_its_words(session, headlines):
    assert [story.text.headline for story in stories.page(session, words="地震").items] == [
        "東京で地震"
    ]


def test_readers_find_public_stories_only_by_the_index(session, headlines):
    session.execute(text("UPDATE story SET state = 'draft' WHERE headline LIKE 'M%'"))
    assert stories.search(session, "muller").items == []
    assert StoryState.DRAFT in {story.state for story in stories.page(session, words="mul").items}
    session.execute(text("SET LOCAL enable_seqscan = off"))
    query = stories.search.__globals__["holds_words"]("muller").compile(
        session.get_bind(), compile_kwargs={"literal_binds": True}
    )
    plan = session.execute(text(f"EXPLAIN SELECT 1 FROM story WHERE {query}".replace(":*", r"\:*")))
    assert "story_words" in "".join(row[0] for row in plan)
