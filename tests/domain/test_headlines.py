"""Two headlines of an alert: who gets which, and which one is better."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.alert import Draft, Words
from service.domain.drafts.draft_checks import check_draft
from service.domain.errors import Invalid
from service.domain.headlines.headline_choice import (
    SIGNIFICANCE,
    Group,
    choose_headline,
    likelihood_of_chance,
    needed_devices,
)
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.pace.local_release import LocalRelease
from service.domain.subscription import Urgency

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = HeadlineTest(title="Floods")
SEVEN = LocalRelease(time_of_day=time(7))


def test_a_reader_is_always_in_the_same_group_and_the_groups_are_as_large_as_asked():
    groups = [SECOND.group_of(7, reader_id) for reader_id in range(20_000)]
    assert groups == [SECOND.group_of(7, reader_id) for reader_id in range(20_000)]
    assert [groups.count(group) for group in (0, 1)] == pytest.approx([2000, 2000], rel=0.07)
    others = [SECOND.group_of(8, reader_id) for reader_id in range(20_000)]
    both = sum(one == other == 0 for one, other in zip(groups, others, strict=True))
    assert both == pytest.approx(200, rel=0.3)


def test_with_half_for_each_nobody_waits():
    halves = HeadlineTest(title="Floods", share=0.5)
    assert None not in {halves.group_of(7, reader_id) for reader_id in range(1000)}


@pytest.mark.parametrize(
    ("first", "second", "chance"),
    [
        (Group(1000, 50), Group(1000, 80), 0.0064),  # z = 2.7208
        (Group(1000, 50), Group(1000, 55), 0.6162),
        (Group(0, 0), Group(1000, 5), 1.0),
        (Group(10, 10), Group(10, 10), 1.0),
    ],
)
def test_how_likely_chance_alone_makes_the_difference(first, second, chance):
    assert likelihood_of_chance(first, second) == pytest.approx(chance, abs=0.0006)


@given(n=st.integers(1, 5000), opens=st.data())
def test_the_better_one_is_chosen_only_where_chance_is_unlikely(n, opens):
    first, second = (Group(n, opens.draw(st.integers(0, n))) for _ in range(2))
    choice = choose_headline(first, second)
    if likelihood_of_chance(first, second) >= SIGNIFICANCE:
        assert choice.headline == 0
    elif choice.headline == 1:
        assert second.share > first.share
    assert choice.reason.endswith("goes to the rest.")


@pytest.mark.parametrize(
    ("first", "second", "headline", "words"),
    [
        (Group(1000, 50), Group(1000, 80), 1, "5.0 % opened the first, 8.0 % the second (p = 0.00"),
        (Group(1000, 80), Group(1000, 50), 0, "the first goes to the rest"),
        (Group(1000, 50), Group(1000, 55), 0, "no significant difference (p = 0.62)"),
        (Group(1000, 0), Group(1000, 4), 0, "Too few opened it to tell (4)"),
        (Group(0, 0), Group(0, 0), 0, "Too few opened it to tell (0)"),
    ],
)
def test_the_choice_says_why(first, second, headline, words):
    choice = choose_headline(first, second)
    assert choice.headline == headline
    assert words in choice.reason


@pytest.mark.parametrize(("share", "devices"), [(0.05, 1471), (0.3, 163), (0.0, 38_903), (1.0, 57)])
def test_how_many_devices_it_takes_to_find_one_opened_half_as_often_again(share, devices):
    assert needed_devices(share) == pytest.approx(devices, rel=0.02)


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft(headline_test=SECOND, urgency=Urgency.BREAKING), "variants"),
        (Draft(headline_test=SECOND, update=True, everyone=True), "variants"),
        (Draft(headline_test=SECOND, spread=timedelta(minutes=1)), "variants"),
        (Draft(headline_test=SECOND, local_release=SEVEN), "variants"),
        (Draft(headline_test=SECOND, locales={"hi": Words("a", "b")}), "variants"),
        (Draft(headline_test=SECOND, title="Floods"), "variants"),
        (Draft(headline_test=HeadlineTest(title=" ")), "variants.1.title"),
        (Draft(headline_test=SECOND, ttl=timedelta(minutes=10)), "test_minutes"),
    ],
)
def test_two_headlines_that_cannot_be_tried_are_refused_by_name(draft, field):
    with pytest.raises(Invalid) as refused:
        check_draft(draft, NOON)
    assert refused.value.field == field
