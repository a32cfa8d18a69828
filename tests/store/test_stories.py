from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.actions import stories as story_actions
from service.domain.errors import Conflict, Invalid, NotFound
from service.domain.people import Caller, Role
from service.domain.story import StoryState, StoryText
from service.outbox import Outbox
from service.store.staff import audit
from service.store.stories import stories, story_revisions, topics
from service.unit_of_work import UnitOfWork

EDITOR = Caller(name="staff:1", label="ada@news.example", scopes=Role.EDITOR.scopes)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TEXT = StoryText(headline="Grid holds", body="<p>All lights on.</p>", topics=("energy/grid",))


class Mute:
    def send(self, message):
        raise AssertionError(f"nobody asked for {message}")


@pytest.fixture
def work(session):
    return UnitOfWork(session, Outbox(Mute()), NOW)


def later(work, hours):
    return UnitOfWork(work.session, work.outbox, NOW + timedelta(hours=hours))


@pytest.fixture
def draft(work):
    return story_actions.save_draft(work, None, TEXT, EDITOR)


def test_an_editors_way_from_draft_to_correction(work, draft):
    assert (draft.state, draft.version, draft.published_at) == (StoryState.DRAFT, 1, None)
    published = story_actions.publish(later(work, 1), draft.id, EDITOR)
    assert (published.state, published.version) == (StoryState.PUBLISHED, 2)
    assert published.published_at == NOW + timedelta(hours=1)
    mended = StoryText(headline="Grid fails", body="<p>Dark.</p>")
    corrected = story_actions.correct(later(work, 2), draft.id, mended, EDITOR, version=2)
    assert (corrected.state, corrected.version) == (StoryState.CORRECTED, 3)
    assert corrected.published_at == published.published_at
    assert stories.get(work.session, draft.id) == corrected
    kept = story_revisions.of_story(work.session, draft.id)
    assert [(r.version, r.state, r.text.headline, r.saved_by) for r in kept] == [
        (3, StoryState.CORRECTED, "Grid fails", "staff:1"),
        (2, StoryState.PUBLISHED, "Grid holds", "staff:1"),
        (1, StoryState.DRAFT, "Grid holds", "staff:1"),
    ]
    assert kept[2].text == TEXT
    told = audit.page(work.session, what=f"story:{draft.id}").items
    assert {deed.verb for deed in told} == {"publish", "correct"}


def test_a_revision_keeps_every_member_of_its_text(work):
    full = StoryText(
        headline="h",
        body="<p>b</p>",
        summary="s",
        topics=("a/b", "c"),
        language="pt-BR",
        author="A",
        image_url="https://a.example/x.png",
        urgency=3,
        embargo_until=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    story = story_actions.save_draft(work, None, full, EDITOR)
    assert story_revisions.of_story(work.session, story.id)[0].text == full
    assert stories.by_slug(work.session, story.slug) == story


def test_who_saves_over_somebody_elses_version_is_told(work, draft):
    story_actions.save_story(work, draft.id, TEXT, StoryState.PUBLISHED, EDITOR, version=1)
    with pytest.raises(Conflict):
        story_actions.save_story(work, draft.id, TEXT, StoryState.PUBLISHED, EDITOR, version=1)


def test_a_correction_needs_a_published_story(work, draft):
    with pytest.raises(Conflict):
        story_actions.correct(work, draft.id, TEXT, EDITOR)


def test_a_corrected_story_stays_marked_when_it_is_edited_again(work, draft):
    story_actions.publish(work, draft.id, EDITOR)
    story_actions.correct(work, draft.id, StoryText(headline="B", body="b"), EDITOR)
    again = StoryText(headline="C", body="c")
    saved = story_actions.save_story(work, draft.id, again, StoryState.PUBLISHED, EDITOR)
    assert saved.state is StoryState.CORRECTED


def test_an_empty_draft_cannot_be_published(work):
    empty = story_actions.save_draft(
        work, None, StoryText(headline="Only a headline", body=""), EDITOR
    )
    with pytest.raises(Invalid) as refused:
        story_actions.publish(work, empty.id, EDITOR)
    assert refused.value.field == "body"


def test_verbs_on_a_story_that_is_not_there_say_so(work):
    for verb in (story_actions.publish, story_actions.retract):
        with pytest.raises(NotFound):
            verb(work, 1, EDITOR)


def test_the_desk_sees_every_state_last_touched_first(work, draft):
    second = story_actions.save_draft(
        later(work, 1), None, StoryText(headline="50% off", body=""), EDITOR
    )
    story_actions.publish(later(work, 2), draft.id, EDITOR)
    ids = [story.id for story in stories.page(work.session).items]
    assert ids == [draft.id, second.id]
    first = stories.page(work.session, limit=1)
    rest = stories.page(work.session, first.next, 1)
    assert [s.id for s in first.items + rest.items] == ids
    found = stories.page(work.session, words="OFF 50%").items
    assert [story.id for story in found] == [second.id]
    drafts = stories.page(work.session, states=[StoryState.DRAFT]).items
    assert [story.id for story in drafts] == [second.id]


def test_lists_come_without_bodies_unless_asked(work, draft):
    story_actions.publish(work, draft.id, EDITOR)
    assert stories.newest(work.session).items[0].text.body == ""
    assert stories.newest(work.session, longest_body=1000).items[0].text.body == TEXT.body
    assert stories.many(work.session, [draft.id])[draft.id].text.headline == "Grid holds"


def test_only_a_readable_story_can_be_followed(work, draft):
    with pytest.raises(NotFound):
        topics.ensure_story_topic(work.session, draft.id)
    story_actions.publish(work, draft.id, EDITOR)
    for _ in range(2):
        assert topics.ensure_story_topic(work.session, draft.id) == draft.id


def test_the_newest_list_is_read_from_its_index(session):
    session.execute(text("SET LOCAL enable_seqscan = off"))
    session.execute(text("SET LOCAL enable_sort = off"))
    asked = []
    original = session.execute

    def explain(query, *args):
        compiled = query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        asked.append(original(text(f"EXPLAIN {compiled}".replace(":", "\\:"))).scalars().all())
        return original(query, *args)

    session.execute = explain
    stories.newest(session)
    assert any("story_newest" in line for line in asked[0]), asked[0]
