from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.domain.alert import (
    AlertState,
    Draft,
    Kind,
    Words,
    collapse_key,
    queue_of,
)
from service.domain.drafts.draft_checks import check_draft, check_words
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from service.outbox import QUEUES

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft(title=""), "title"),
        (Draft(title=" \t"), "title"),
        (Draft(title="x" * 501), "title"),
        (Draft(title="a\0b"), "title"),
        (Draft(body="x" * 5001), "body"),
        (Draft(body="a\0b"), "body"),
        (Draft(ttl=timedelta(0)), "ttl_seconds"),
        (Draft(ttl=timedelta(days=28, seconds=1)), "ttl_seconds"),
        (Draft(topics=("sport",), everyone=True), "topics"),
        (Draft(topics=()), "topics"),
        (Draft(topics=("a b",)), "topics"),
        (Draft(topics=tuple(f"t{n}" for n in range(51))), "topics"),
        (Draft(topics=("story/42",)), "topics"),
        (Draft(send_at=NOW + timedelta(days=367)), "send_at"),
        (Draft(locales={"not a tag": Words("a", "b")}), "locales"),
        (Draft(locales={"hi": Words("", "b")}), "locales.hi.title"),
        (Draft(locales={"hi": Words("a", "b" * 5001)}), "locales.hi.body"),
        (Draft(locales={"pt-BR": Words("a", ""), "pt-br": Words("b", "")}), "locales"),
    ],
)
def test_a_draft_that_cannot_be_sent_names_the_field_at_fault(draft, field):
    with pytest.raises(Invalid) as refused:
        check_draft(draft, NOW)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "draft",
    [
        Draft(),
        Draft(title="x" * 500, body="x" * 5000),
        Draft(body=""),
        Draft(ttl=SECOND),
        Draft(ttl=timedelta(days=28)),
        Draft(everyone=True),
        Draft(locales={"hi": Words("बारिश", "")}),
    ],
)
def test_a_sound_draft_passes_as_it_is(draft):
    assert check_draft(draft, NOW) == draft


def test_topics_and_languages_come_back_in_their_one_spelling():
    draft = check_draft(
        Draft(topics=("World/", "world", "sport"), locales={"PT-br": Words("a", "")}), NOW
    )
    assert draft.topics == ("world", "sport")
    assert list(draft.locales) == ["pt-BR"]


def test_a_time_in_the_past_means_now():
    assert check_draft(Draft(send_at=NOW - SECOND), NOW).send_at is None
    assert check_draft(Draft(send_at=NOW), NOW).send_at is None
    elsewhere = (NOW + SECOND).astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert check_draft(Draft(send_at=elsewhere), NOW).send_at == NOW + SECOND


def test_only_an_update_without_an_audience_of_its_own_corrects():
    assert Draft(update=True).corrects
    assert not Draft().corrects
    assert not Draft(update=True, everyone=True).corrects
    assert not Draft(update=True, topics=("sport",)).corrects


def test_a_withdrawal_needs_a_title():
    with pytest.raises(Invalid):
        check_words(Words("", "We withdraw this."))


def test_an_alert_is_scheduled_running_or_final_and_never_two_of_them():
    for state in AlertState:
        assert state.running + state.final + (state is AlertState.SCHEDULED) == 1


def test_only_breaking_alerts_wait_in_the_urgent_queue():
    assert [queue_of(u) for u in Urgency] == ["normal", "normal", "urgent"]


def test_every_alert_waits_in_a_queue_that_the_workers_read():
    assert {queue_of(urgency) for urgency in Urgency} == set(QUEUES)


def test_a_test_and_the_storys_alert_never_replace_one_another():
    of_tests = collapse_key(42, Kind.TEST)
    assert of_tests not in {collapse_key(42, kind) for kind in Kind if kind is not Kind.TEST}
    assert of_tests != collapse_key(43, Kind.TEST)
