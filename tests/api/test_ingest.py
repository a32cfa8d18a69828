"""News formats taken in over HTTP, end to end: what comes in, what is read, what alerts do."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.people import Scope

COUNTED = ("story", "revision", "received_story", "topic", "alert")
NINJS = {
    "uri": "urn:agency.example:storm",
    "version": "1",
    "pubStatus": "usable",
    "language": "en",
    "urgency": 1,
    "headlines": [{"role": "main", "value": "Smith &amp; Sons&#8217; grid <b>holds</b>"}],
    "descriptions": [{"role": "summary", "value": "All lights on."}],
    "bodies": [{"contentType": "text/html", "value": "<p>All lights on.</p>"}],
    "subjects": [{"uri": "http://cv.iptc.org/newscodes/mediatopic/17000000"}],
}
NEWSML = """<?xml version="1.0" encoding="UTF-8"?>
<newsItem xmlns="http://iptc.org/std/nar/2006-10-01/" guid="urn:agency.example:storm"
 version="{version}" standard="NewsML-G2" standardversion="2.34">
 <itemMeta><itemClass qcode="ninat:text"/><provider literal="agency"/>
  <versionCreated>2026-03-01T10:00:00Z</versionCreated><pubStatus qcode="stat:{status}"/></itemMeta>
 <contentMeta><urgency>2</urgency><headline>{headline}</headline>
  <subject qcode="medtop:15000000"/></contentMeta>
 <contentSet><inlineXML contenttype="application/xhtml+xml">
  <html xmlns="http://www.w3.org/1999/xhtml"><body><p>All lights on.</p></body></html>
 </inlineXML></contentSet>
</newsItem>"""


def newsml(version=1, status="usable", headline="Grid holds"):
    return NEWSML.format(version=version, status=status, headline=headline).encode()


def ninjs(**members):
    return json.dumps(NINJS | members).encode()


def in_hours(hours):
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


@pytest.fixture
def send(client, as_ingester):
    def post(news_format, document, expected):
        answer = client.post(f"/api/ingest/{news_format}", content=document, headers=as_ingester)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return post


@pytest.fixture
def send_ninjs(send):
    def post(expected=201, /, **members):
        return send("ninjs", ninjs(**members), expected)

    return post


@pytest.fixture
def start_alert(client, as_editor):
    def start(story_id, **draft):
        answer = client.post(f"/api/stories/{story_id}/alerts", json=draft, headers=as_editor)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    return start


@pytest.fixture
def state_of(client, as_editor):
    def state(alert_id):
        return client.get(f"/api/alerts/{alert_id}", headers=as_editor).json()["state"]

    return state


def test_a_ninjs_object_becomes_a_story_that_can_be_read(send_ninjs, client):
    taken = send_ninjs()
    assert (taken["outcome"], taken["version"], taken["state"]) == ("created", 1, "published")
    assert taken["uri"] == "urn:agency.example:storm"
    read = client.get(f"/api/stories/{taken['id']}").json()
    assert read["headline"] == "Smith & Sons\u2019 grid holds"
    assert (read["summary"], read["body"]) == ("All lights on.", "<p>All lights on.</p>")
    assert (read["topics"], read["urgency"], read["language"]) == (["weather"], 1, "en")


def test_a_newsml_g2_item_becomes_a_story_that_can_be_read(send, client):
    taken = send("newsml-g2", newsml(), 201)
    read = client.get(f"/api/stories/{taken['id']}").json()
    assert (read["headline"], read["topics"], read["urgency"]) == ("Grid holds", ["sport"], 2)
    assert read["body"] == "<p>All lights on.</p>"


@pytest.mark.parametrize(
    ("before", "after", "outcome", "version", "headline"),
    [
        ({}, {}, "unchanged", 1, "One"),
        ({"version": "3"}, {"version": "3", "headline": "Two"}, "ignored", 3, "One"),
        ({"version": "3"}, {"version": "2", "headline": "Two"}, "ignored", 3, "One"),
        ({"version": "3"}, {"version": "5", "headline": "Two"}, "updated", 5, "Two"),
        (
            {"version": None, "versionCreated": "2026-03-01T10:00:00Z"},
            {"version": None, "versionCreated": "2026-03-01T09:00:00Z", "headline": "Two"},
            *("ignored", 1, "One"),
        ),
        (
            {"version": None, "versionCreated": "2026-03-01T10:00:00Z"},
            {"version": None, "versionCreated": "2026-03-01T11:00:00Z", "headline": "Two"},
            *("updated", 2, "Two"),
        ),
    ],
)
def test_a_known_story_is_judged_by_its_senders_version_or_time(
    send_ninjs, client, before, after, outcome, version, headline
):
    first = send_ninjs(201, headlines=None, **({"headline": "One"} | before))
    second = send_ninjs(200, headlines=None, **({"headline": "One"} | after))
    assert (second["outcome"], second["version"]) == (outcome, version)
    assert second["id"] == first["id"]
    assert client.get(f"/api/stories/{first['id']}").json()["headline"] == headline


@pytest.mark.parametrize("news_format", ["ninjs", "newsml-g2"])
def test_a_correction_by_version_updates_the_page_and_the_scheduled_alert(
    send, start_alert, client, as_editor, news_format
):
    documents = {
        "ninjs": (ninjs(), ninjs(version="2", headlines=None, headline="Grid fails")),
        "newsml-g2": (newsml(), newsml(2, headline="Grid fails")),
    }[news_format]
    taken = send(news_format, documents[0], 201)
    alert_id = start_alert(taken["id"], send_at=in_hours(1))
    again = send(news_format, documents[1], 200)
    assert (again["id"], again["outcome"], again["version"]) == (taken["id"], "updated", 2)
    page = client.get(f"/stories/{taken['slug']}", headers={"Accept": "text/html"})
    assert "<h1>Grid fails</h1>" in page.text
    alert = client.get(f"/api/alerts/{alert_id}", headers=as_editor).json()
    assert (alert["state"], alert["title"]) == ("scheduled", "Grid fails")


@pytest.mark.parametrize("news_format", ["ninjs", "newsml-g2"])
@pytest.mark.parametrize("status", ["canceled", "withheld"])
def test_a_kill_in_each_format_stops_the_running_alert(
    send, start_alert, state_of, client, news_format, status
):
    story = {
        "ninjs": (ninjs(), ninjs(version="2", pubStatus=status)),
        "newsml-g2": (newsml(), newsml(2, status)),
    }[news_format]
    taken = send(news_format, story[0], 201)
    alert_id = start_alert(taken["id"])
    assert state_of(alert_id) in ("planning", "sending")
    kill = send(news_format, story[1], 200)
    assert (kill["id"], kill["state"], kill["outcome"]) == (taken["id"], "retracted", "updated")
    assert state_of(alert_id) == "stopped"
    assert client.get(f"/api/stories/{taken['id']}").status_code == 404
    assert send(news_format, story[1], 200)["outcome"] == "unchanged"
    assert send(news_format, story[0], 200)["outcome"] == "ignored"
    assert client.get(f"/api/stories/{taken['id']}").status_code == 404


def test_a_kill_arrives_whatever_editors_have_saved_since(send_ninjs, client, as_ingester):
    taken = send_ninjs()
    for n in range(5):
        story = {"headline": f"Edited {n}", "body": "x", "source_uri": NINJS["uri"]}
        assert client.post("/api/stories", json=story, headers=as_ingester).status_code == 200
    assert send_ninjs(200, version="2", pubStatus="canceled")["state"] == "retracted"
    assert client.get(f"/api/stories/{taken['id']}").status_code == 404


def test_a_re_delivery_leaves_alone_what_an_editor_has_saved_since(send_ninjs, client, as_ingester):
    taken = send_ninjs(version=None)
    edited = {"headline": "Edited", "body": "x", "source_uri": NINJS["uri"]}
    client.post("/api/stories", json=edited, headers=as_ingester)
    assert send_ninjs(200, version=None)["outcome"] == "unchanged"
    assert client.get(f"/api/stories/{taken['id']}").json()["headline"] == "Edited"


def test_a_correction_arrives_after_an_editor_has_saved_the_story(send_ninjs, client, as_ingester):
    taken = send_ninjs()
    edited = {"headline": "Edited", "body": "x", "source_uri": NINJS["uri"]}
    client.post("/api/stories", json=edited, headers=as_ingester)
    answer = send_ninjs(200, version="2", headlines=None, headline="Corrected")
    assert (answer["outcome"], answer["version"]) == ("updated", 3)
    assert client.get(f"/api/stories/{taken['id']}").json()["headline"] == "Corrected"


def test_a_kill_that_comes_first_keeps_the_older_text_out(send_ninjs, counts):
    kill = send_ninjs(200, version="2", pubStatus="canceled")
    assert (kill["id"], kill["outcome"]) == (None, "ignored")
    assert send_ninjs(200, version="1")["outcome"] == "ignored"
    assert counts()["story"] == 0
    assert send_ninjs(201, version="3")["outcome"] == "created"


def test_a_story_under_embargo_is_not_shown_and_not_pushed(
    send_ninjs, client, as_editor, as_ingester
):
    taken = send_ninjs(embargoedUntil=in_hours(1))
    assert client.get(f"/api/stories/{taken['id']}").status_code == 404
    answer = client.post(f"/api/stories/{taken['id']}/alerts", json={}, headers=as_editor)
    assert answer.status_code == 409


@pytest.mark.parametrize("rule", [{"embargoedUntil": 1}, {"expires": -1}])
def test_an_embargo_or_expiry_that_comes_later_stops_the_running_alert(
    send_ninjs, start_alert, state_of, rule
):
    alert_id = start_alert(send_ninjs()["id"])
    moments = {name: in_hours(hours) for name, hours in rule.items()}
    assert send_ninjs(200, version="2", **moments)["outcome"] == "updated"
    assert state_of(alert_id) == "stopped"


def test_an_alert_ends_with_its_story(send_ninjs, start_alert, engine):
    taken = send_ninjs(expires=in_hours(1))
    alert_id = start_alert(taken["id"], ttl_seconds=86_400)
    with engine.connect() as connection:
        query = text("SELECT expires_at < now() + interval '61 min' FROM alert WHERE id = :id")
        assert connection.execute(query, {"id": int(alert_id)}).scalar_one()


def test_nothing_that_comes_in_is_pushed_by_itself(send_ninjs, send, counts):
    send_ninjs(urgency=1)
    send("newsml-g2", newsml(version=2), 200)
    assert counts()["alert"] == 0


def test_an_existing_topic_is_reached_by_its_path_and_a_code_by_its_alias(
    send_ninjs, client, as_admin
):
    client.post("/api/topics", json={"path": "world/ukraine"}, headers=as_admin)
    subjects = [
        {"name": "World/Ukraine"},
        {"name": "never heard of"},
        {"uri": "http://cv.iptc.org/newscodes/mediatopic/16000000"},
    ]
    taken = send_ninjs(subjects=subjects)
    read = client.get(f"/api/stories/{taken['id']}").json()
    assert read["topics"] == ["conflict", "world/ukraine"]


def test_several_items_have_their_outcomes_and_errors_in_their_order(send, counts):
    items = [
        NINJS | {"uri": "urn:a:1"},
        {"uri": "urn:a:2", "version": "1"},
        NINJS | {"uri": "urn:a:3", "embargoedUntil": "tomorrow"},
        NINJS | {"uri": "urn:a:4", "pubStatus": "canceled"},
        NINJS | {"uri": "urn:a:1", "version": "2", "headline": "Two"},
    ]
    answer = send("ninjs", json.dumps(items).encode(), 200)["items"]
    outcomes = [item.get("outcome") for item in answer]
    assert outcomes == ["created", None, None, "ignored", "updated"]
    assert [error["field"] for error in answer[1]["errors"]] == ["$[1].headlines"]
    assert [error["field"] for error in answer[2]["errors"]] == ["$[2].embargoedUntil"]
    assert counts()["story"] == 1


@pytest.mark.parametrize(
    ("news_format", "document", "status", "field"),
    [
        ("ninjs", b"{", 422, "$"),
        ("ninjs", b"[]", 422, "$"),
        ("ninjs", b'{"version": "1"}', 422, "$.uri"),
        ("ninjs", ninjs(urgency=12), 422, "$.urgency"),
        pytest.param("ninjs", b'{"uri":"a","x":' + b"[" * 200_001, 413, None, id="many arrays"),
        pytest.param("ninjs", b"x" * (4 * 1024 * 1024 + 1), 413, None, id="over 4 MiB"),
        ("newsml-g2", b"<a", 422, None),
        ("newsml-g2", b"<rss/>", 422, "/rss"),
        ("newsml-g2", b'<!DOCTYPE a [<!ENTITY b "bomb">]><a>&b;</a>', 422, None),
        ("newsml-g2", newsml(status="perhaps"), 422, "/newsItem/itemMeta/pubStatus"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_changes_nothing(
    client, as_ingester, counts, news_format, document, status, field
):
    before = counts()
    answer = client.post(f"/api/ingest/{news_format}", content=document, headers=as_ingester)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if field:
        assert field in [error["field"] for error in answer.json()["errors"]]
    assert counts() == before


def test_the_calls_need_the_scope_of_stories(client, make_key):
    for path in ("/api/ingest/ninjs", "/api/ingest/newsml-g2"):
        assert client.post(path, content=ninjs()).status_code == 401
        headers = {"Authorization": f"Bearer {make_key(Scope.ALERTS_WRITE)}"}
        assert client.post(path, content=ninjs(), headers=headers).status_code == 403


def test_two_documents_with_the_same_stories_in_opposite_orders_make_each_story_once(
    client, as_ingester, counts
):
    items = [NINJS | {"uri": f"urn:a:{n}", "keywords": [f"k{n}"]} for n in range(20)]

    def deliver(n):
        document = json.dumps(items[:: 1 if n % 2 else -1]).encode()
        return client.post("/api/ingest/ninjs", content=document, headers=as_ingester)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(deliver, range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert counts()["story"] == 20
    assert counts()["revision"] == 20


def test_the_calls_stand_in_the_reference(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path, media_type in (
        ("/api/ingest/ninjs", "application/json"),
        ("/api/ingest/newsml-g2", "application/vnd.iptc.g2.newsitem+xml"),
    ):
        call = paths[path]["post"]
        assert media_type in call["requestBody"]["content"]
        assert {"200", "201", "413", "422"} <= set(call["responses"])
