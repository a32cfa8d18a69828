"""The admin's work: hold, release, replay, stop, people, keys, topics, the trail."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from service.domain.delivery import State
from service.store.deliveries import dead_letters
from service.store.operations import holds
from service.store.results import provider_samples
from service.store.session import transaction
from tests.builders import a_batch, a_story, an_alert
from tests.site_client import SiteClient
from tests.web.browsing import PASSWORD
from tests.web.conftest import Visitor

Ingest = Callable[..., dict[str, Any]]


def staff_id(engine: Engine, email: str) -> int:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id FROM staff WHERE email = :e"), {"e": email})
        return int(found.scalar_one())


def test_the_room_shows_every_provider_queue_and_worker(admin: Visitor) -> None:
    page = admin.get("/control").text
    for words in ("iPhone and iPad", "Android", "Browsers", "urgent", "normal", "Self-test"):
        assert words in page
    assert "No worker was seen" in page
    assert 'data-live="/control/live"' in page
    live = admin.get("/control/live")
    assert live.status_code == 200
    assert "<html" not in live.text


def test_a_provider_is_held_with_a_reason_and_released(admin: Visitor, engine: Engine) -> None:
    admin.submit("/control/providers/apns/hold", reason="The key was revoked")
    page = admin.get("/control").text
    assert "The key was revoked" in page
    assert "admin@news.example" in page
    admin.submit("/control/providers/apns/release")
    with transaction(engine) as session:
        assert not holds.held(session)
    trail = admin.get("/control/audit").text
    assert "The key was revoked" in trail
    assert "release" in trail


def test_a_hold_without_a_reason_is_refused_in_words(admin: Visitor, engine: Engine) -> None:
    admin.submit("/control/providers/apns/hold", reason="  ")
    assert "Not held" in admin.get("/control").text
    with transaction(engine) as session:
        assert not holds.held(session)


def test_an_unknown_provider_is_not_found(admin: Visitor) -> None:
    assert admin.submit("/control/providers/pigeon/hold", reason="x").status_code == 404


@pytest.fixture
def buried(engine: Engine) -> int:
    """An alert of three deliveries of which two were given up."""
    with transaction(engine) as session:
        story = a_story(session, state="published")
        alert = an_alert(session, story, state="finished", title="It rains")
        a_batch(session, alert, [State.BURIED, State.BURIED, State.ACCEPTED], provider="apns")
        reason = "PayloadTooLarge"
        dead_letters.bury(session, alert.id, 0, 0, "apns", reason, "413", [0, 1])
        return int(alert.id)


def test_dead_letters_are_listed_filtered_and_replayed(
    admin: Visitor, buried: int, engine: Engine
) -> None:
    page = admin.get("/control").text
    assert "PayloadTooLarge" in page
    assert "PayloadTooLarge" not in admin.get("/control?provider=fcm").text
    assert "PayloadTooLarge" in admin.get(f"/control?alert={buried}&provider=apns").text
    chosen = re.search(r'name="letter" value="(\d+)"', page)
    assert chosen
    admin.submit("/control/dead-letters/replay", letter=chosen[1])
    page = admin.get("/control").text
    assert "2 devices are being tried again" in page
    assert "No push has failed" in page
    with engine.connect() as connection:
        states = connection.execute(text("SELECT states FROM batch")).scalar_one()
    assert bytes(states)[:2] == bytes([0, 0])


def test_all_dead_letters_that_match_a_filter_are_replayed_at_once(
    admin: Visitor, buried: int
) -> None:
    nothing = {"every": "yes", "provider": "fcm"}
    admin.submit("/control/dead-letters/replay", **nothing)
    assert "There was nothing to try again" in admin.get("/control").text
    admin.submit("/control/dead-letters/replay")
    assert "Select some pushes" in admin.get("/control").text
    admin.submit("/control/dead-letters/replay", every="yes", provider="apns")
    assert "2 devices are being tried again" in admin.get("/control").text


def test_an_editor_may_replay_an_alerts_buried_deliveries_on_the_page_as_with_a_key(
    editor: Visitor, visitor: Visitor, buried: int
) -> None:
    page = editor.get(f"/desk/alerts/{buried}").text
    assert "PayloadTooLarge" in page
    assert f"/desk/alerts/{buried}/replay" in page
    assert visitor.post(f"/desk/alerts/{buried}/replay").headers["location"] == "/login"
    assert editor.submit(f"/desk/alerts/{buried}/replay").status_code == 303
    assert "2 devices are being tried again" in editor.get(f"/desk/alerts/{buried}").text


def test_a_running_alert_is_shown_and_stopped(admin: Visitor, engine: Engine) -> None:
    with transaction(engine) as session:
        story = a_story(session, state="published")
        alert = an_alert(session, story, state="sending", title="On its way")
        alert_id = alert.id
    assert "On its way" in admin.get("/control").text
    admin.submit(f"/control/alerts/{alert_id}/stop")
    assert "On its way" not in admin.get("/control/live").text
    assert "Stopped" in admin.get(f"/desk/alerts/{alert_id}").text


def test_people_are_added_reset_disabled_and_enabled(
    admin: Visitor, app: Any, engine: Engine
) -> None:
    admin.submit("/control/people", email="new@news.example", password=PASSWORD, role="editor")
    new = Visitor(app)
    assert new.sign_in("new@news.example").status_code == 303
    person = staff_id(engine, "new@news.example")
    admin.submit(f"/control/people/{person}/password", password="another long one")
    assert new.get("/desk").status_code == 303
    assert new.sign_in("new@news.example", "another long one").status_code == 303
    admin.submit(f"/control/people/{person}/disable")
    assert new.get("/desk").status_code == 303
    assert "Disabled" in admin.get("/control/people").text
    admin.submit(f"/control/people/{person}/enable")
    assert new.sign_in("new@news.example", "another long one").status_code == 303
    admin.submit(f"/control/people/{person}/sign-out")
    assert new.get("/desk").status_code == 303


def test_an_address_belongs_to_one_account_and_nobody_disables_their_own(
    admin: Visitor, engine: Engine
) -> None:
    fields = {"email": "admin@news.example", "password": PASSWORD, "role": "editor"}
    answer = admin.submit("/control/people", **fields)
    assert answer.status_code == 422
    assert "already a member of staff" in answer.text
    mine = staff_id(engine, "admin@news.example")
    assert admin.submit(f"/control/people/{mine}/disable").status_code == 409
    assert admin.get("/desk").status_code == 200


def test_a_key_is_shown_once_works_rotates_and_is_revoked(admin: Visitor, app: Any) -> None:
    made = admin.submit("/control/keys", name="agency", scope=["stories:write"])
    found = re.search(r"nzp_[\w-]+", made.text)
    assert found
    assert found[0] not in admin.get("/control/people").text
    machine = SiteClient(app, headers={"Authorization": f"Bearer {found[0]}"})
    story = {"headline": "By key", "body": "<p>x</p>"}
    assert machine.post("/api/stories", json=story).status_code == 201
    key = re.search(r"/control/keys/(\d+)/rotate", made.text)
    assert key
    rotated = re.search(r"nzp_[\w-]+", admin.submit(f"/control/keys/{key[1]}/rotate").text)
    assert rotated
    assert rotated[0] != found[0]
    admin.submit(f"/control/keys/{key[1]}/revoke")
    app.state.key_cache._entries.clear()
    assert machine.post("/api/stories", json=story).status_code == 401


def test_a_key_without_a_scope_is_refused_in_words(admin: Visitor) -> None:
    answer = admin.submit("/control/keys", name="idle")
    assert answer.status_code == 422
    assert "can do nothing" in answer.text


def test_topics_are_added_labelled_and_listed(admin: Visitor, visitor: Visitor) -> None:
    admin.submit("/control/topics", path="sport/tennis", label="Tennis & more")
    assert "Tennis &amp; more" in visitor.get("/topics").text
    assert admin.submit("/control/topics", path="No!").status_code == 422


def follows(visitor: Visitor) -> list[str]:
    return list(visitor.get("/me/state").json()["follows"])


def test_a_topic_moves_with_all_below_it_and_its_followers_come_along(
    admin: Visitor, visitor: Visitor, ingest: Ingest
) -> None:
    ingest("Ace", topics=["games/tennis/doubles"])
    visitor.post("/me/follow", data={"topic": "games/tennis"})
    assert admin.submit("/control/topics/move", **{"from": "games/tennis", "to": "sport/tennis"})
    assert follows(visitor) == ["sport/tennis"]
    assert "Ace" in visitor.get("/topics/sport/tennis/doubles").text
    assert visitor.get("/topics/games/tennis").status_code == 404
    assert visitor.get("/topics/sport").status_code == 200


def test_two_topics_become_one_and_who_followed_both_follows_once(
    admin: Visitor, visitor: Visitor, ingest: Ingest
) -> None:
    ingest("Ace", topics=["tennis", "lawn-tennis"])
    visitor.post("/me/follow", data={"topic": ["tennis", "lawn-tennis"]})
    admin.submit("/control/topics/move", **{"from": "lawn-tennis", "to": "tennis"})
    assert follows(visitor) == ["tennis"]
    page = visitor.get("/topics/tennis").text
    assert page.count("Ace</a>") == 1
    assert visitor.get("/topics/lawn-tennis").status_code == 404


@pytest.mark.parametrize(
    ("source", "target"),
    [("world", "world"), ("world", "world/asia"), ("chess", "sport"), ("world", "story/1")],
)
def test_an_impossible_move_is_refused_in_words(
    admin: Visitor, ingest: Ingest, source: str, target: str
) -> None:
    ingest("Rain", topics=["world/asia"])
    answer = admin.submit("/control/topics/move", **{"from": source, "to": target})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_the_topics_of_a_running_alert_cannot_move(
    admin: Visitor, ingest: Ingest, engine: Engine
) -> None:
    ingest("Rain", topics=["world"])
    with transaction(engine) as session:
        alert = an_alert(session, a_story(session, state="published"), state="sending")
        alert_id = alert.id
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE alert SET topic_ids = ARRAY(SELECT id FROM topic WHERE path = 'world') "
                "WHERE id = :id"
            ),
            {"id": alert_id},
        )
    answer = admin.submit("/control/topics/move", **{"from": "world", "to": "earth"})
    assert answer.status_code == 422
    assert "is running" in answer.text


def test_the_charts_show_what_each_provider_accepted_and_what_waits(
    admin: Visitor, engine: Engine
) -> None:
    with transaction(engine) as session:
        created_at = datetime.now(UTC) - timedelta(minutes=10)
        alert = an_alert(session, a_story(session), state="sending", created_at=created_at)
        states = [State.ACCEPTED] * 7 + [State.PENDING] * 5
        a_batch(session, alert, states, progress=[60_000, 7], started_at=created_at)
        provider_samples.write_samples(session, datetime.now(UTC))
    for span in ("hour", "day", "week"):
        page = admin.get(f"/control?span={span}").text
        assert f"The last {span}" in page
        for key in ("accepted", "errors", "waiting"):
            assert f'data-chart="{key}"' in page
        assert "iPhone and iPad: at most 5" in page
    assert "iPhone and iPad: at most 7" in admin.get("/control?span=day").text
