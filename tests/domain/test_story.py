from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.errors import Conflict
from service.domain.story import (
    Outcome,
    Story,
    StoryState,
    StoryText,
    judge_version,
    published_when,
    readable,
    state_after,
    why_not_pushable,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = StoryText(headline="Rain", body="<p>It rains.</p>")
OTHER = StoryText(headline="Rain at last", body="<p>It rains.</p>")
DRAFT, PUBLISHED = StoryState.DRAFT, StoryState.PUBLISHED
CORRECTED, RETRACTED = StoryState.CORRECTED, StoryState.RETRACTED


def a_story(**given):
    values = {
        "id": 1,
        "slug": "rain",
        "version": 3,
        "state": PUBLISHED,
        "text": TEXT,
        "source_uri": None,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Story(**(values | given))


@pytest.mark.parametrize(
    ("version", "text", "outcome", "becomes"),
    [
        (None, TEXT, Outcome.UNCHANGED, 3),
        (None, OTHER, Outcome.UPDATED, 4),
        (2, OTHER, Outcome.IGNORED, 3),
        (3, TEXT, Outcome.UNCHANGED, 3),
        (3, OTHER, Outcome.IGNORED, 3),
        (4, OTHER, Outcome.UPDATED, 4),
        (9, TEXT, Outcome.UPDATED, 9),
    ],
)
def test_agencies_deliver_again_and_out_of_order(version, text, outcome, becomes):
    assert judge_version(a_story(), text, PUBLISHED, version) == (outcome, becomes)


def test_the_same_words_in_another_state_are_a_new_version():
    draft = a_story(state=DRAFT)
    assert judge_version(draft, TEXT, PUBLISHED, None) == (Outcome.UPDATED, 4)


@pytest.mark.parametrize(
    ("current", "text", "wanted", "version", "after"),
    [
        (DRAFT, TEXT, PUBLISHED, None, PUBLISHED),
        (DRAFT, OTHER, DRAFT, None, DRAFT),
        (PUBLISHED, OTHER, PUBLISHED, None, PUBLISHED),
        (CORRECTED, OTHER, PUBLISHED, None, CORRECTED),
        (RETRACTED, TEXT, PUBLISHED, None, RETRACTED),
        (RETRACTED, OTHER, PUBLISHED, None, PUBLISHED),
        (RETRACTED, TEXT, PUBLISHED, 4, PUBLISHED),
    ],
)
def test_a_story_that_comes_in_again_takes_its_state(current, text, wanted, version, after):
    assert state_after(a_story(state=current), text, wanted, version) is after


@pytest.mark.parametrize("current", [PUBLISHED, CORRECTED, RETRACTED])
def test_what_readers_have_seen_never_becomes_a_draft_again(current):
    with pytest.raises(Conflict):
        state_after(a_story(state=current), OTHER, DRAFT, None)


def test_a_published_story_may_be_pushed():
    assert why_not_pushable(a_story(), NOON) is None
    assert why_not_pushable(a_story(state=CORRECTED), NOON) is None


@pytest.mark.parametrize(
    ("story", "why"),
    [
        (a_story(state=DRAFT), "draft"),
        (a_story(state=RETRACTED), "retracted"),
        (a_story(text=replace(TEXT, expires_at=NOON)), "expired"),
        (a_story(text=replace(TEXT, embargo_until=NOON + HOUR)), "embargo"),
    ],
)
def test_a_story_that_is_not_out_may_not_be_pushed_and_says_why(story, why):
    assert why in (why_not_pushable(story, NOON) or "")


def test_embargo_and_expiry_are_judged_at_the_moment_of_sending():
    story = a_story(text=replace(TEXT, embargo_until=NOON, expires_at=NOON + HOUR))
    assert why_not_pushable(story, NOON - timedelta(microseconds=1)) is not None
    assert why_not_pushable(story, NOON) is None
    assert why_not_pushable(story, NOON + HOUR - timedelta(microseconds=1)) is None
    assert why_not_pushable(story, NOON + HOUR) is not None


def test_an_embargo_hides_the_page_until_it_lifts():
    story = a_story(text=replace(TEXT, embargo_until=NOON))
    assert not readable(story, NOON - HOUR)
    assert readable(story, NOON)


def test_an_expired_story_stays_readable():
    assert readable(a_story(text=replace(TEXT, expires_at=NOON - HOUR)), NOON)


def test_a_story_counts_as_published_from_when_readers_can_see_it():
    assert published_when(None, TEXT, PUBLISHED, NOON) == NOON
    embargoed = replace(TEXT, embargo_until=NOON + HOUR)
    assert published_when(None, embargoed, PUBLISHED, NOON) == NOON + HOUR
    assert published_when(None, TEXT, DRAFT, NOON) is None
    out = a_story(published_at=NOON - HOUR)
    assert published_when(out, OTHER, PUBLISHED, NOON) == NOON - HOUR
