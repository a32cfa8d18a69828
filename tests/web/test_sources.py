"""The editor's sources: a feed added by its site, its newest story sent in one press, its log."""

import json

import pytest
from sqlalchemy import text

from tests.api.feed_server import rss, running_feed_server

ALLOWED = pytest.mark.parametrize(
    "settings", [{"fetch_allowed_hosts": ("127.0.0.1",)}], indirect=True
)
PAGE = (
    '<html lang="en"><head><title>Harbour</title><link rel="alternate" href="/feed"'
    ' type="application/rss+xml"><meta property="og:title" content="Gates open"></head>'
    "<body><article><p>After months of work the gates are open to everybody.</p></article></body>"
)


@pytest.fixture
def server():
    with running_feed_server() as feed_server:
        feed_server.put(rss(("2", "Ferry back"), ("1", "Tide tables")))
        feed_server.put(PAGE, "/", Content_Type="text/html")
        yield feed_server


def rows(engine, query):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@ALLOWED
def test_a_feed_is_added_by_its_site_and_its_newest_story_sent_in_one_press(
    settings, editor, engine, server
):
    answer = editor.submit("/desk/sources/feeds", address=server.url("/"), publish="yes")
    assert answer.headers["location"] == "/desk", answer.text
    desk = editor.get("/desk").text
    assert "harbour-news is added: 2 stories came in." in desk
    story = rows(engine, "SELECT story_id FROM suggested_alert")[0][0]
    sent = editor.submit(f"/desk/suggestions/{story}/send")
    assert sent.headers["location"].startswith("/desk/alerts/")
    assert rows(engine, "SELECT state, title FROM alert") == [("planning", "Ferry back")]
    assert "Suggested alerts" not in editor.get("/desk").text
    listed = editor.get("/desk/sources").text
    assert "2 stories" in listed
    assert "Works" in listed
    again = editor.submit("/desk/sources/feeds", address=server.url("/feed"))
    assert "among the sources already" in again.text


@ALLOWED
def test_a_draft_is_published_when_its_suggested_alert_is_sent(settings, editor, engine, server):
    editor.submit("/desk/sources/feeds", address=server.url(), publish="no")
    assert "Publish and send" in editor.get("/desk").text
    story = rows(engine, "SELECT story_id FROM suggested_alert")[0][0]
    editor.submit(f"/desk/suggestions/{story}/send")
    assert rows(engine, f"SELECT state FROM story WHERE id = {story}") == [("published",)]


@pytest.mark.parametrize(
    "settings",
    [{"fetch_allowed_hosts": ("127.0.0.1",), "breaking_needs_two": True}],
    indirect=True,
)
def test_a_suggested_breaking_alert_keeps_its_second_editor(settings, editor, engine, server):
    editor.submit("/desk/sources/feeds", address=server.url(), publish="yes")
    with engine.begin() as connection:
        connection.execute(text("UPDATE suggested_alert SET urgency = 2"))
    story = rows(engine, "SELECT story_id FROM suggested_alert")[0][0]
    answer = editor.submit(f"/desk/suggestions/{story}/send")
    assert answer.headers["location"] == f"/desk/stories/{story}/push"
    assert rows(engine, "SELECT count(*) FROM alert") == [(0,)]


@ALLOWED
def test_a_pasted_link_becomes_a_draft(settings, editor, engine, server):
    editor.submit("/desk/links", address=server.url("/"))
    assert rows(engine, "SELECT headline, state FROM story") == [("Gates open", "draft")]


def test_addresses_inside_our_network_are_refused_in_words(editor, engine, server):
    answer = editor.submit("/desk/sources/feeds", address=server.url())
    assert answer.status_code == 422
    assert "no public address" in answer.text
    editor.submit("/desk/links", address=server.url())
    assert "no public address" in editor.get("/desk").text
    assert rows(engine, "SELECT count(*) FROM story") == [(0,)]
    assert not server.requests


@ALLOWED
def test_a_source_is_paused_tried_and_told_what_was_wrong(settings, editor, engine, server):
    editor.submit("/desk/sources/feeds", address=server.url(), publish="yes")
    source = rows(engine, "SELECT id FROM source")[0][0]
    server.put("<html>moved</html>")
    tried = editor.submit(f"/desk/sources/{source}/poll")
    assert tried.status_code == 303
    assert "a web page, not a feed" in editor.get(f"/desk/sources/{source}").text
    editor.submit(f"/desk/sources/{source}/pause", paused="yes")
    assert "Paused" in editor.get("/desk/sources").text
    saved = editor.submit(
        f"/desk/sources/{source}", categories="Boats = sport/sailing", alert="send", urgency="quiet"
    )
    assert saved.status_code == 303
    assert rows(engine, "SELECT alert, categories FROM source") == [
        ("send", {"boats": "sport/sailing"})
    ]
    wrong = editor.submit(f"/desk/sources/{source}", categories="Boats", alert="send")
    assert wrong.status_code == 422


def test_a_list_of_feeds_comes_in_as_drafts_without_alerts(editor, engine):
    outlines = "".join(
        f'<outline text="F{n}" xmlUrl="http://f{n}.example.org/feed"/>' for n in range(3)
    )
    opml = f'<opml version="2.0"><head/><body>{outlines}</body></opml>'
    for number in (3, 0):
        answer = editor.post(
            "/desk/sources/opml", data={"csrf": editor.token()}, files={"opml": ("f.opml", opml)}
        )
        assert answer.status_code == 303, answer.text
        assert f"{number} feeds are added" in editor.get("/desk/sources").text
    assert rows(engine, "SELECT DISTINCT publish, alert FROM source") == [(False, "never")]


def test_a_field_map_is_tried_with_an_example_before_it_is_saved(editor, engine):
    secret = "a secret of sixteen"
    editor.submit("/desk/sources/webhooks", kind="custom", name="cms", secret=secret)
    source = rows(engine, "SELECT id FROM source")[0][0]
    field_map = json.dumps({"fields": {"uri": "ref", "headline": "name"}})
    path = f"/desk/sources/{source}/map"
    tried = editor.submit(path, field_map=field_map, example='{"ref": "1", "name": "Storm"}')
    assert "<strong>Storm</strong>" in tried.text
    assert editor.submit(path, field_map="{}", example="{}").status_code == 422
    assert editor.submit(path, field_map=field_map, do="save").status_code == 303
    assert rows(engine, "SELECT field_map->'fields'->>'uri' FROM source") == [("ref",)]
