"""Signed webhooks of other systems, end to end: what is sound comes in, and nothing else does."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.formats.hooks.signatures import SignatureScheme, sign

SECRET = "a secret of sixteen"
COUNTED = ("story", "revision", "alert", "source_delivery")
POST = {
    "id": 7,
    "status": "publish",
    "link": "https://blog.example/storm",
    "title": {"rendered": "Smith &amp; Sons&#8217; grid"},
    "content": {"rendered": "<p>Lights on.</p>"},
    "modified_gmt": "2026-03-01T10:00:00",
}
GHOST = {
    "post": {
        "current": {
            "id": "g1",
            "status": "published",
            "title": "Storm",
            "html": "<p>x</p>",
            "updated_at": "2026-03-01T10:00:00.000Z",
        },
        "previous": {},
    }
}
NINJS = {"guid": "tag:a:1", "version": "1", "pubstatus": "usable", "headline": "Storm"}
CUSTOM = {"ref": "c1", "name": "Storm", "live": "on"}
MAP = {
    "fields": {"uri": "ref", "headline": "name", "status": "live"},
    "statuses": {"on": "usable", "off": "canceled"},
}
KINDS = {
    "wordpress": (POST, POST | {"status": "trash", "modified_gmt": "2026-03-01T11:00:00"}),
    "ghost": (
        GHOST,
        {
            "post": {
                "current": {},
                "previous": {"id": "g1", "updated_at": "2026-03-01T11:00:00.000Z"},
            }
        },
    ),
    "superdesk": (NINJS, NINJS | {"version": "2", "pubstatus": "canceled"}),
    "custom": (CUSTOM, CUSTOM | {"live": "off"}),
}
SCHEMES = {
    "wordpress": SignatureScheme.HUB,
    "ghost": SignatureScheme.GHOST,
    "superdesk": SignatureScheme.SUPERDESK,
    "custom": SignatureScheme.NEWSZOP,
}


@pytest.fixture
def add_source(client, as_ingester):
    def add(kind="wordpress", **members):
        values = {"kind": kind, "name": kind, "secret": SECRET, "publish": True}
        values |= {"field_map": MAP} if kind == "custom" else {}
        answer = client.post("/api/admin/sources", json=values | members, headers=as_ingester)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return add


@pytest.fixture
def deliver(client):
    def send(kind, value, expected=200, secret=SECRET, at=None):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        headers = sign(SCHEMES[kind], body, secret.encode(), at or datetime.now(UTC))
        answer = client.post(f"/api/hooks/{kind}", content=body, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return send


@pytest.mark.parametrize("path", ["/api/hooks/nobody", "/api/websub/nobody"])
def test_no_body_is_received_for_a_source_that_there_is_not(app, path):
    sent = []

    async def receive():
        raise AssertionError("a body of up to 1 MiB would be kept for a stranger")

    async def send(message):
        sent.append(message)

    headers = [(b"x-hub-signature", b"sha256=00"), (b"content-length", b"1000000")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    scope |= {"query_string": b"", "scheme": "http", "client": ("203.0.113.1", 1), "server": None}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 404


@pytest.mark.parametrize("kind", KINDS)
def test_a_delivery_of_each_kind_becomes_a_story_and_its_kill_stops_the_alert(
    add_source, deliver, client, as_editor, kind
):
    add_source(kind)
    story, kill = KINDS[kind]
    taken = deliver(kind, story)
    assert (taken["outcome"], taken["state"]) == ("created", "published")
    path = f"/api/stories/{taken['id']}/alerts"
    alert = client.post(path, json={}, headers=as_editor).json()["id"]
    assert deliver(kind, kill)["state"] == "retracted"
    assert client.get(f"/api/alerts/{alert}", headers=as_editor).json()["state"] == "stopped"


def test_the_same_post_eleven_times_is_one_story(add_source, deliver, counts, client):
    add_source()
    outcomes = [deliver("wordpress", POST)["outcome"] for _ in range(11)]
    assert outcomes == ["created"] + ["unchanged"] * 10
    assert counts() == {"story": 1, "revision": 1, "alert": 0, "source_delivery": 1}
    story = client.get("/api/stories").json()["items"][0]
    assert story["headline"] == "Smith & Sons\u2019 grid"


def test_a_post_sent_eleven_times_saved_again_and_scheduled_again_makes_one_alert(
    client, as_editor, deliver, counts
):
    source = {"kind": "wordpress", "name": "wordpress", "secret": SECRET, "publish": True}
    rule = {"alert": "send", "alert_rule": {"most_a_day": 9, "minutes_apart": 0}}
    answer = client.post("/api/admin/sources", json=source | rule, headers=as_editor)
    assert answer.status_code == 201, answer.text
    now = datetime.now(UTC)
    dates = [f"{now + timedelta(minutes=n):%Y-%m-%dT%H:%M:%S}" for n in range(5)]
    post = POST | {"date_gmt": dates[0], "modified_gmt": dates[0]}
    for _ in range(11):
        deliver("wordpress", post)
    for date in dates[1:4]:
        title = {"rendered": f"Saved again {date}"}
        deliver("wordpress", post | {"title": title, "modified_gmt": date})
    later = {"status": "future", "date_gmt": "2036-03-01T10:00:00"}
    deliver("wordpress", post | later | {"modified_gmt": dates[4]})
    figures = counts()
    assert (figures["story"], figures["alert"]) == (1, 1)


def test_the_secret_before_signs_until_its_end(add_source, deliver, client, as_ingester):
    source = add_source()
    path = f"/api/admin/sources/{source['id']}"
    new = {"secret": "a new secret of theirs", "keep_old_secret_hours": 1}
    client.patch(path, json=new, headers=as_ingester)
    deliver("wordpress", POST)
    deliver("wordpress", POST, secret=new["secret"])
    client.patch(path, json={"secret": "a third secret of theirs"}, headers=as_ingester)
    deliver("wordpress", POST, 401)
    deliver("wordpress", POST, 401, secret=new["secret"])


def test_an_older_post_that_is_sent_again_changes_nothing(add_source, deliver):
    add_source()
    deliver("wordpress", POST)
    newer = POST | {"title": {"rendered": "New"}, "modified_gmt": "2026-03-01T12:00:00"}
    assert deliver("wordpress", newer)["outcome"] == "updated"
    assert deliver("wordpress", POST)["outcome"] == "ignored"


def test_a_source_that_may_not_publish_makes_drafts(add_source, deliver, client):
    add_source(publish=False, topics=["blog"])
    taken = deliver("wordpress", POST)
    assert taken["state"] == "draft"
    assert client.get(f"/api/stories/{taken['id']}").status_code == 404


def test_unsigned_and_forged_deliveries_are_refused_and_nothing_is_kept(
    add_source, deliver, client, counts
):
    add_source()
    body = json.dumps(POST).encode()
    assert client.post("/api/hooks/wordpress", content=body).status_code == 401
    wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert client.post("/api/hooks/wordpress", content=body, headers=wrong).status_code == 401
    deliver("wordpress", POST, 401, secret="another secret here")
    assert set(counts().values()) == {0}


def test_a_source_without_a_secret_takes_nothing(client, as_ingester, deliver, counts):
    source = {"kind": "wordpress", "name": "wordpress"}
    client.post("/api/admin/sources", json=source, headers=as_ingester)
    deliver("wordpress", POST, 401)
    deliver("wordpress", POST, 401, secret="")
    assert set(counts().values()) == {0}


def test_what_is_replayed_or_outside_the_window_is_refused(add_source, deliver, counts):
    add_source("ghost")
    now = datetime.now(UTC)
    deliver("ghost", GHOST, 409, at=now - timedelta(minutes=6))
    assert set(counts().values()) == {0}
    deliver("ghost", GHOST, at=now)
    deliver("ghost", GHOST, 409, at=now)
    assert counts()["story"] == 1


def test_a_large_delivery_is_refused(add_source, deliver, counts):
    add_source()
    deliver("wordpress", b"x" * (1024 * 1024 + 1), 413)
    assert set(counts().values()) == {0}


def test_a_malformed_delivery_is_refused_with_its_place_kept_and_can_be_replayed(
    add_source, deliver, client, as_ingester, counts
):
    source = add_source("custom")
    refused = deliver("custom", {"other": "c1", "name": "Storm"}, 422)
    assert "uri" in refused["errors"][0]["field"]
    assert counts() == {"story": 0, "revision": 0, "alert": 0, "source_delivery": 1}
    path = f"/api/admin/sources/{source['id']}"
    [kept] = client.get(f"{path}/deliveries", headers=as_ingester).json()["items"]
    assert (kept["outcome"], kept["times"]) == ("refused", 1)
    assert "uri" in kept["error"]
    mended = {"field_map": {"fields": {"uri": "other", "headline": "name"}}}
    assert client.patch(path, json=mended, headers=as_ingester).status_code == 200
    replayed = client.post(f"{path}/deliveries/{kept['id']}/replay", headers=as_ingester)
    assert replayed.json()["outcome"] == "created", replayed.text


def test_a_secret_is_sealed_and_never_shown(add_source, client, as_ingester, engine):
    source = add_source()
    listing = client.get("/api/admin/sources", headers=as_ingester)
    assert SECRET not in listing.text
    assert listing.json()["items"] == [source]
    assert source["has_secret"]
    with engine.connect() as connection:
        secret = connection.execute(text("SELECT secret FROM source")).scalar_one()
    assert SECRET.encode() not in bytes(secret)


def test_a_source_can_be_paused_and_removed(add_source, deliver, client, as_ingester):
    source = add_source()
    path = f"/api/admin/sources/{source['id']}"
    client.patch(path, json={"paused": True}, headers=as_ingester)
    deliver("wordpress", POST, 409)
    client.patch(path, json={"paused": False}, headers=as_ingester)
    deliver("wordpress", POST)
    assert client.delete(path, headers=as_ingester).status_code == 204
    deliver("wordpress", POST, 404)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"kind": "feed"}, 422),
        ({"alert": "send"}, 403),
        ({"alert": "shout"}, 422),
        ({"name": "Not a name"}, 422),
        ({"secret": "short"}, 422),
        ({"topics": ["not ok"]}, 422),
        ({"kind": "custom"}, 422),
        ({"name": "wordpress"}, 409),
    ],
)
def test_a_wrong_source_is_refused(add_source, client, as_ingester, members, status):
    add_source()
    source = {"kind": "wordpress", "name": "other"} | members
    answer = client.post("/api/admin/sources", json=source, headers=as_ingester)
    assert answer.status_code == status, answer.text


def test_sources_need_the_scope_of_stories(client):
    assert client.get("/api/admin/sources").status_code == 401


def test_the_calls_stand_in_the_reference(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"401", "409", "413", "422"} <= set(paths["/api/hooks/{name}"]["post"]["responses"])
    assert {"get", "post"} <= set(paths["/api/admin/sources"])
    assert {"patch", "delete"} <= set(paths["/api/admin/sources/{source_id}"])
