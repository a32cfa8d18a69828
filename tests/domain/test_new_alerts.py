from datetime import UTC, datetime, timedelta

import pytest

from service.domain.alert import TEST_TTL, AlertState, Draft, Kind, Words
from service.domain.new_alerts import (
    CANARY,
    Origin,
    new_canary,
    new_first_alert,
    new_test,
    new_update,
    new_withdrawal,
)
from service.domain.subscription import Urgency

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORIGIN = Origin(alert_id=7, story_id=42, created_by="staff:1", created_at=NOW)
STORY = Words("Rain at last", "It rained.")


def test_a_first_alert_that_leaves_now_has_its_storys_words():
    alert = new_first_alert(ORIGIN, Draft(ttl=HOUR), STORY)
    assert (alert.kind, alert.state) == (Kind.FIRST, AlertState.PLANNING)
    assert (alert.title, alert.body) == ("Rain at last", "It rained.")
    assert (alert.expires_at, alert.ttl) == (NOW + HOUR, HOUR)
    assert (alert.id, alert.story_id, alert.created_by) == (7, 42, "staff:1")


def test_a_scheduled_alert_has_no_words_yet_and_lives_from_its_start():
    alert = new_first_alert(ORIGIN, Draft(send_at=NOW + HOUR, ttl=HOUR, title="Own"), STORY)
    assert alert.state is AlertState.SCHEDULED
    assert (alert.title, alert.body) == ("Own", None)
    assert alert.expires_at == NOW + 2 * HOUR


@pytest.mark.parametrize("root_id", [5, None])
def test_an_update_names_the_root_that_it_corrects(root_id):
    alert = new_update(ORIGIN, Draft(update=True, dry_run=True), STORY, root_id)
    assert (alert.kind, alert.source_alert_id, alert.dry_run) == (Kind.UPDATE, root_id, True)


def test_a_withdrawal_replaces_the_chain_and_lives_as_long_as_it_could_have():
    root = new_first_alert(ORIGIN, Draft(ttl=HOUR, urgency=Urgency.BREAKING), STORY)
    later = Origin(alert_id=8, story_id=42, created_by="staff:2", created_at=NOW + HOUR)
    alert = new_withdrawal(later, root, Words("Withdrawn", ""))
    assert (alert.kind, alert.source_alert_id, alert.urgency) == (Kind.WITHDRAWAL, 7, root.urgency)
    assert (alert.collapse_key, alert.expires_at) == (root.collapse_key, NOW + 2 * HOUR)


def test_a_withdrawal_of_a_correction_names_the_root():
    correction = new_update(ORIGIN, Draft(update=True), STORY, 5)
    assert new_withdrawal(ORIGIN, correction, STORY).source_alert_id == 5


def test_a_test_takes_nothing_but_words_and_urgency_from_its_draft():
    draft = Draft(topics=("sport",), everyone=False, ttl=HOUR, urgency=Urgency.BREAKING)
    alert = new_test(ORIGIN, draft, STORY, 99)
    assert (alert.kind, alert.reader_id, alert.topics) == (Kind.TEST, 99, None)
    assert (alert.ttl, alert.urgency) == (TEST_TTL, Urgency.BREAKING)
    assert alert.collapse_key != new_first_alert(ORIGIN, draft, STORY).collapse_key


def test_a_canary_is_a_quiet_dry_run_for_the_followers_of_one_story():
    alert = new_canary(7, 42, "Rain at last", NOW)
    assert (alert.dry_run, alert.created_by, alert.urgency) == (True, CANARY, Urgency.QUIET)
    assert alert.topics == ("story/42",)
