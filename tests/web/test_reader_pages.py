"""What is the reader's own: created at the first wish, guarded by origin, forgotten on demand."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from service.store.schema import MissedAlertRow
from service.store.session import transaction
from tests import builders as a
from tests.web.conftest import Visitor

Ingest = Callable[..., dict[str, Any]]
KEYS = {
    "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1Xbjh"
    "azAkj7I99e8QcYP7DkM",
    "auth": "tBHItJI5svbpez7KI4CCXg",
}
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAA-one"


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def follows(visitor: Visitor) -> list[str]:
    return list(visitor.get("/me/state").json()["follows"])


@pytest.fixture
def world(ingest: Ingest) -> dict[str, Any]:
    return ingest("Rain", topics=["world/asia"])


def test_reading_pages_creates_no_reader(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    for path in ("/", f"/stories/{world['slug']}", "/topics", "/me"):
        assert "set-cookie" not in visitor.get(path).headers
    assert count(engine, "reader") == 0
    assert visitor.get("/me/state").json() == {
        "reader": False,
        "follows": [],
        "devices": [],
        "languages": None,
    }


def test_the_first_follow_creates_a_reader_and_its_cookie(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    answer = visitor.post("/me/follow", data={"topic": "world/asia"})
    assert answer.status_code == 303
    cookie = next(c for c in answer.headers.get_list("set-cookie") if "newszop_reader" in c)
    lowered = cookie.lower()
    assert "httponly" in lowered
    assert "samesite=lax" in lowered
    assert "path=/me" in lowered
    assert follows(visitor) == ["world/asia"]
    assert "Asia" in visitor.get("/me").text
    visitor.post("/me/follow", data={"topic": "world"})
    assert follows(visitor) == ["world", "world/asia"]
    assert count(engine, "reader") == 1


def test_a_story_can_be_followed_and_is_named_by_its_headline(
    visitor: Visitor, world: dict[str, Any]
) -> None:
    visitor.post("/me/follow", data={"topic": f"story/{world['id']}"})
    assert "Rain" in visitor.get("/me").text


def test_following_an_unknown_topic_creates_no_reader(visitor: Visitor, engine: Engine) -> None:
    assert visitor.post("/me/follow", data={"topic": "chess"}).status_code == 404
    assert count(engine, "reader") == 0


def test_unfollowing_ends_it(visitor: Visitor, world: dict[str, Any]) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    assert visitor.post("/me/unfollow", data={"topic": "world"}).status_code == 303
    assert follows(visitor) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.news.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/me/follow", "/me/unfollow", "/me/forget", "/me/settings"])
def test_another_site_can_send_none_of_these_forms(
    visitor: Visitor, world: dict[str, Any], engine: Engine, path: str, headers: dict[str, str]
) -> None:
    answer = visitor.post(path, data={"topic": "world"}, headers=headers)
    assert answer.status_code == 403
    assert count(engine, "reader") == 0


def test_our_own_pages_can(visitor: Visitor, world: dict[str, Any]) -> None:
    headers = {"Origin": "http://news.example", "Sec-Fetch-Site": "same-origin"}
    answer = visitor.post("/me/follow", data={"topic": "world"}, headers=headers)
    assert answer.status_code == 303


def test_a_script_is_answered_with_json(visitor: Visitor, world: dict[str, Any]) -> None:
    answer = visitor.post(
        "/me/follow", data={"topic": "world"}, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200
    assert answer.json()["done"]


def test_the_way_back_stays_on_this_site(visitor: Visitor, world: dict[str, Any]) -> None:
    here = visitor.post("/me/follow", data={"topic": "world", "back": "/stories/x"})
    assert here.headers["location"] == "/me?back=/stories/x"
    evil = visitor.post("/me/follow", data={"topic": "world", "back": "//evil.example"})
    assert evil.headers["location"] == "/me"
    assert "evil.example" not in visitor.get("/me?back=//evil.example").text


def test_terms_of_a_topic_can_be_changed_and_muted(visitor: Visitor, world: dict[str, Any]) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    answer = visitor.post(
        "/me/change", data={"topic": "world", "least_urgency": "breaking", "mute_hours": "8"}
    )
    assert answer.status_code == 303
    page = visitor.get("/me").text
    assert "Muted until" in page
    assert '<option value="breaking" selected>' in page
    visitor.post("/me/follow", data={"topic": "world"})
    assert "Muted until" in visitor.get("/me").text


def test_settings_are_stored_and_an_invalid_one_is_named_beside_its_field(
    visitor: Visitor, world: dict[str, Any]
) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    good = {
        "timezone": "Asia/Kolkata",
        "language": "hi",
        "quiet_from": "22:00",
        "quiet_to": "07:00",
    }
    assert visitor.post("/me/settings", data=good).status_code == 303
    page = visitor.get("/me").text
    assert 'value="Asia/Kolkata"' in page
    assert 'value="22:00"' in page
    wrong = visitor.post("/me/settings", data=good | {"timezone": "Mars/Base"})
    assert wrong.status_code == 422
    assert "is not a time zone" in wrong.text
    assert 'value="Mars/Base"' in wrong.text
    assert "Asia/Kolkata" in visitor.get("/me").text


def test_a_tick_says_what_is_counted_and_saving_other_settings_says_nothing(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    form = {"timezone": "UTC", "language": "en"}
    choices = []
    for sent in ({"results": "on"}, {}, {}, {"results": "on"}):
        assert visitor.post("/me/settings", data=form | sent).status_code == 303
        with engine.connect() as connection:
            choices.append(connection.execute(text("SELECT results FROM reader")).scalar_one())
        ticked = re.search(r'name="results" value="on" (checked)?', visitor.get("/me").text)
        assert ticked
        assert bool(ticked[1]) is bool(sent)
    assert choices == [None, False, False, True]


def test_the_list_of_what_quiet_hours_kept_away_is_switched_on_and_shown(
    visitor: Visitor, ingest: Ingest, world: dict[str, Any], engine: Engine
) -> None:
    assert "Switch the list on" in visitor.get("/me/missed").text
    visitor.post("/me/follow", data={"topic": "world"})
    form = {"timezone": "UTC", "language": "en", "languages": ["en"], "digest": "on"}
    assert visitor.post("/me/settings", data=form).status_code == 303
    assert 'name="digest" value="on" checked' in visitor.get("/me").text
    assert "kept nothing away" in visitor.get("/me/missed").text
    with transaction(engine) as session:
        reader_id = session.execute(text("SELECT id FROM reader")).scalar_one()
        for story in (world, ingest("Regen", language="de")):
            row = session.get(a.StoryRow, int(story["id"]))
            alert = a.an_alert(session, row, title="Rain at night", started_at=datetime.now(UTC))
            a.a_shard(session, alert)
            session.add(MissedAlertRow(alert_id=alert.id, shard_n=0, reader_ids=[7, reader_id]))
    page = visitor.get("/me/missed", headers={"Accept-Language": "de"}).text
    assert "Während der Ruhezeit" in page
    assert re.findall(r'<a href="/stories/([^"]+)">Rain at night', page) == [world["slug"]]


def languages(visitor: Visitor) -> list[str]:
    return list(visitor.get("/me/state").json()["languages"])


def test_a_reader_reads_what_the_browser_says_until_they_choose(
    visitor: Visitor, world: dict[str, Any]
) -> None:
    headers = {"Accept-Language": "hi-IN,en;q=0.5"}
    visitor.post("/me/follow", data={"topic": "world"}, headers=headers)
    assert languages(visitor) == ["hi-IN", "en"]
    page = visitor.get("/me").text
    assert 'value="hi-IN" checked' in page
    assert "हिन्दी" in page
    settings = {"timezone": "UTC", "language": "en", "languages": ["de", "", "PT-br"]}
    assert visitor.post("/me/settings", data=settings).status_code == 303
    assert languages(visitor) == ["de", "pt-BR"]
    assert register(visitor, languages=["hi"]).json()["languages"] == ["hi"]
    assert register(visitor).json()["languages"] == ["hi"]
    wrong = visitor.post("/me/settings", data=settings | {"languages": ["no tag at all"]})
    assert wrong.status_code == 422
    assert "is not a language tag" in wrong.text


def register(visitor: Visitor, **given: Any) -> httpx.Response:
    body = {"endpoint": ENDPOINT, "keys": KEYS, "topics": ["world"], "timezone": "Asia/Kolkata"}
    return visitor.put("/me/browser", json=body | given)


def test_get_alerts_creates_reader_device_and_follows_in_one_request(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    answer = register(visitor, language="hi", least_urgency="breaking")
    assert answer.status_code == 200, answer.text
    devices = visitor.get("/me/state").json()["devices"]
    assert answer.json() == {
        "reader": True,
        "follows": ["world"],
        "device": devices[0],
        "languages": [],
    }
    page = visitor.get("/me").text
    assert "Browsers" in page
    assert "Asia/Kolkata" in page
    assert ENDPOINT not in page
    assert register(visitor).status_code == 200
    assert count(engine, "device") == 1


def test_get_alerts_is_all_or_nothing(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    assert register(visitor, topics=["chess"]).status_code == 404
    assert register(visitor, endpoint="https://evil.example/x").status_code == 422
    assert count(engine, "reader") == count(engine, "device") == 0


def test_a_browser_with_an_unknown_time_zone_or_language_gets_the_defaults(
    visitor: Visitor, world: dict[str, Any]
) -> None:
    assert register(visitor, timezone="Mars/Base", language="??").status_code == 200
    assert 'value="UTC"' in visitor.get("/me").text


def test_a_renewed_subscription_takes_the_place_of_the_old_one(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    register(visitor)
    fresh = ENDPOINT.replace("one", "two")
    answer = register(visitor, endpoint=fresh, replaces=ENDPOINT, topics=[])
    assert answer.status_code == 200
    with engine.connect() as connection:
        live = connection.execute(text("SELECT address FROM device WHERE gone_at IS NULL"))
        assert [row.address for row in live] == [fresh]


def test_another_site_cannot_register_a_browser(visitor: Visitor, world: dict[str, Any]) -> None:
    body = {"endpoint": ENDPOINT, "keys": KEYS}
    answer = visitor.put("/me/browser", json=body, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_muting_from_an_alert_mutes_what_brought_it(
    visitor: Visitor, world: dict[str, Any]
) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    answer = visitor.post(
        "/me/mute", data={"story": world["id"]}, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200
    assert follows(visitor) == ["world"]
    assert "Muted until" in visitor.get("/me").text


def test_muting_an_alert_that_went_to_everyone_mutes_its_story(
    visitor: Visitor, world: dict[str, Any], ingest: Ingest
) -> None:
    ingest("Elsewhere", topics=["sport"])
    visitor.post("/me/follow", data={"topic": "sport"})
    visitor.post("/me/mute", data={"story": world["id"]})
    assert f"story/{world['id']}" in follows(visitor)


def test_everything_stored_about_a_reader_can_be_downloaded(
    visitor: Visitor, world: dict[str, Any]
) -> None:
    register(visitor)
    answer = visitor.get("/me/export")
    assert "attachment" in answer.headers["content-disposition"]
    kept = json.loads(answer.text)
    assert kept["devices"][0]["address"] == ENDPOINT
    assert kept["subscriptions"][0]["topic"] == "world"


def test_forgetting_a_reader_leaves_nothing(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    register(visitor)
    answer = visitor.post("/me/forget")
    assert answer.status_code == 303
    assert count(engine, "reader") == count(engine, "device") == count(engine, "subscription") == 0
    assert "newszop_reader" not in visitor.cookies


def test_a_device_can_be_removed(visitor: Visitor, world: dict[str, Any], engine: Engine) -> None:
    register(visitor)
    with engine.connect() as connection:
        device = connection.execute(text("SELECT id FROM device")).scalar_one()
    stranger = visitor.post(f"/me/devices/{device + 1}/remove")
    assert stranger.status_code == 404
    assert visitor.post(f"/me/devices/{device}/remove").status_code == 303
    assert "None yet. Press Get alerts." in visitor.get("/me").text


def test_one_switch_turns_all_alerts_off_and_keeps_what_is_followed(
    visitor: Visitor, world: dict[str, Any], engine: Engine
) -> None:
    register(visitor)
    register(visitor, endpoint=ENDPOINT + "-two")
    assert "Turn all alerts off" in visitor.get("/me").text
    assert visitor.post("/me/alerts-off").status_code == 303
    assert visitor.get("/me/state").json()["devices"] == []
    assert follows(visitor) == ["world"]
    assert "Turn all alerts off" not in visitor.get("/me").text
