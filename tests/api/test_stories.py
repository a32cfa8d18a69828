from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import text

STORY = {"headline": "Grid holds", "body": "<p>All lights on.</p>"}
COUNTED = ("story", "revision", "topic", "alert", "audit")


@pytest.fixture
def send(client, as_ingester):
    def post(expected=201, /, **story):
        answer = client.post("/api/stories", json=STORY | story, headers=as_ingester)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return post


def in_hours(hours):
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def test_a_story_comes_in_and_can_be_read(send, client):
    sent = send(
        headline="  Storm\n reaches <b>Kyiv</b> ",
        summary="Short.",
        topics=["World/Ukraine", "weather"],
        language="EN-us",
        author="A. Writer",
        image_url="https://pictures.example/1.jpg",
        urgency=2,
        expires_at="2099-01-01T00:00:00+05:30",
    )
    assert sent["outcome"] == "created"
    assert sent["version"] == 1
    assert sent["url"] == f"https://news.example/stories/{sent['slug']}"
    read = client.get(f"/api/stories/{sent['id']}").json()
    published = read.pop("published_at")
    assert datetime.fromisoformat(published).utcoffset() == timedelta()
    assert read.pop("updated_at") == published
    assert read == {
        "id": sent["id"],
        "slug": sent["slug"],
        "url": sent["url"],
        "version": 1,
        "state": "published",
        "headline": "Storm reaches Kyiv",
        "summary": "Short.",
        "body": "<p>All lights on.</p>",
        "topics": ["world/ukraine", "weather"],
        "language": "en-US",
        "author": "A. Writer",
        "image_url": "https://pictures.example/1.jpg",
        "image_alt": None,
        "urgency": 2,
        "expires_at": "2098-12-31T18:30:00+00:00",
    }
    paths = [topic["path"] for topic in client.get("/api/topics").json()["items"]]
    assert paths == ["weather", "world", "world/ukraine"]


@pytest.mark.parametrize(
    ("before", "after", "status", "outcome", "version", "headline"),
    [
        ({}, {}, 200, "unchanged", 1, "Grid holds"),
        ({}, {"headline": "B"}, 200, "updated", 2, "B"),
        ({"version": 3}, {"version": 3}, 200, "unchanged", 3, "Grid holds"),
        ({"version": 3}, {"version": 3, "headline": "B"}, 200, "ignored", 3, "Grid holds"),
        ({"version": 3}, {"version": 2, "headline": "B"}, 200, "ignored", 3, "Grid holds"),
        ({"version": 3}, {"version": 7, "headline": "B"}, 200, "updated", 7, "B"),
        ({"version": 3}, {"version": 7}, 200, "updated", 7, "Grid holds"),
        ({"version": 3}, {"headline": "B"}, 200, "updated", 4, "B"),
        ({}, {"source_uri": "urn:other"}, 201, "created", 1, "Grid holds"),
        ({}, {"source_uri": None}, 201, "created", 1, "Grid holds"),
        ({"state": "draft"}, {"state": "published"}, 200, "updated", 2, "Grid holds"),
    ],
)
def test_a_known_source_is_judged_by_its_version(
    send, client, before, after, status, outcome, version, headline
):
    first = send(201, source_uri="urn:a", **before)
    second = send(status, **({"source_uri": "urn:a"} | after))
    assert (second["outcome"], second["version"]) == (outcome, version)
    assert (second["id"] == first["id"]) == (status == 200)
    assert client.get(f"/api/stories/{second['id']}").json()["headline"] == headline


def test_a_slug_stays_the_same_when_the_headline_changes(send):
    first = send(source_uri="urn:a", headline="पहला शीर्षक")
    assert send(200, source_uri="urn:a", headline="Second headline")["slug"] == first["slug"]


def test_every_saved_text_is_kept(send, engine):
    sent = send(source_uri="urn:a")
    send(200, source_uri="urn:a", body="Two")
    send(200, source_uri="urn:a", body="Two")
    with engine.connect() as connection:
        kept = connection.execute(
            text("SELECT version, content->>'body' FROM revision WHERE story_id = :id ORDER BY 1"),
            {"id": int(sent["id"])},
        )
        assert kept.all() == [(1, "<p>All lights on.</p>"), (2, "<p>Two</p>")]


def test_two_deliveries_of_one_source_at_once_make_one_story(send, counts):
    def deliver(n):
        return send_any(source_uri="urn:a", headline=f"Headline {n % 4}", topics=["a/b", "c"])

    def send_any(**story):
        try:
            return send(201, **story)
        except AssertionError:
            return send(200, **story)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(deliver, range(32)))
    assert len({answer["id"] for answer in answers}) == 1
    assert counts()["story"] == 1
    assert counts()["topic"] == 3


def test_what_is_text_is_stored_as_text(send, client):
    sent = send(
        headline="Smith &amp; Sons&#8217; <b>Mu\u0308ller</b>\ufffe\x0b",
        summary="&lt;Less&#11; is more",
        body="<p>a&#11;b\ufffec</p>",
        author="A\x07nn",
        source_uri="urn:M\u00fcller",
    )
    read = client.get(f"/api/stories/{sent['id']}").json()
    assert read["headline"] == "Smith & Sons\u2019 M\u00fcller"
    assert (read["summary"], read["body"]) == ("<Less is more", "<p>abc</p>")
    assert read["author"] == "Ann"
    assert send(200, source_uri="urn:Mu\u0308ller", headline="B")["id"] == sent["id"]


def test_relative_addresses_are_resolved_against_the_source_or_left_out(send, client):
    body = '<p>a<img src="x.png"><a href="y">b</a></p>'
    sent = send(body=body, source_uri="https://a.example/news/1", image_url="z.jpg")
    read = client.get(f"/api/stories/{sent['id']}").json()
    assert 'src="https://a.example/news/x.png"' in read["body"]
    assert 'href="https://a.example/news/y"' in read["body"]
    assert read["image_url"] == "https://a.example/news/z.jpg"
    sent = send(body=body)
    assert "<img" not in client.get(f"/api/stories/{sent['id']}").json()["body"]
    answer = send(422, body='<img src="x.png">')
    assert answer["errors"][0]["field"] == "body"


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"headline": None}, "headline"),
        ({"headline": ""}, "headline"),
        ({"headline": " \n\u200b"}, "headline"),
        ({"headline": 7}, "headline"),
        ({"headline": "x" * 501}, "headline"),
        ({"headline": "\ud800"}, "headline"),
        ({"body": None}, "body"),
        ({"body": ""}, "body"),
        ({"body": "<script>x</script>"}, "body"),
        ({"body": "x" * (MIB + 1)}, "body"),
        ({"body": "<div>" * 1000}, "body"),
        ({"summary": "x" * 5001}, "summary"),
        ({"topics": "sport"}, "topics"),
        ({"topics": [f"t{n}" for n in range(51)]}, "topics"),
        ({"topics": ["ok", "not ok"]}, "topics.1"),
        ({"topics": ["story/1"]}, "topics.0"),
        ({"topics": ["ok", 5]}, "topics.1"),
        ({"topics": ["x/" * 100 + "x"]}, "topics.0"),
        ({"language": "english!"}, "language"),
        ({"language": "e"}, "language"),
        ({"source_uri": "  "}, "source_uri"),
        ({"source_uri": "a\x00b"}, "source_uri"),
        ({"source_uri": "x" * 2049}, "source_uri"),
        ({"version": "two"}, "version"),
        ({"version": 1.5}, "version"),
        ({"version": True}, "version"),
        ({"version": -1}, "version"),
        ({"version": 2**31}, "version"),
        ({"author": "x" * 201}, "author"),
        ({"image_url": "javascript:alert(1)"}, "image_url"),
        ({"image_url": "/relative.png"}, "image_url"),
        ({"urgency": 0}, "urgency"),
        ({"urgency": 10}, "urgency"),
        ({"urgency": "breaking"}, "urgency"),
        ({"embargo_until": "2026-01-01T00:00:00"}, "embargo_until"),
        ({"embargo_until": "tomorrow"}, "embargo_until"),
        ({"embargo_until": 1_700_000_000}, "embargo_until"),
        ({"embargo_until": "0001-01-01T00:00:00+14:00"}, "embargo_until"),
        ({"expires_at": "2026-13-01T00:00:00Z"}, "expires_at"),
        (
            {"embargo_until": "2030-01-02T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"},
            "expires_at",
        ),
        ({"state": "retracted"}, "state"),
        ({"headlin": "x"}, "headlin"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_changes(client, as_ingester, counts, wrong, field):
    before = counts()
    answer = client.post(
        "/api/stories", content=_json(STORY | wrong), headers=as_ingester | JSON_SENT
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert counts() == before


JSON_SENT = {"Content-Type": "application/json"}


def _json(value):
    import json  # noqa: PLC0415 - the standard one writes lone surrogates, as a bad sender does

    return json.dumps(value)


def test_a_left_out_field_is_named(client, as_ingester):
    answer = client.post("/api/stories", json={}, headers=as_ingester)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"headline", "body"}


def test_a_body_of_exactly_a_mebibyte_is_taken(send, client):
    sent = send(body="x" * MIB)
    assert len(client.get(f"/api/stories/{sent['id']}").json()["body"]) == MIB + 7


@how(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headline=st.text(min_size=1, max_size=120), body=st.text(min_size=1, max_size=400))
def test_whatever_text_comes_in_is_taken_or_refused_but_never_breaks(
    client, as_ingester, headline, body
):
    answer = client.post(
        "/api/stories",
        content=_json({"headline": headline, "body": body, "topics": ["any"]}),
        headers=as_ingester | JSON_SENT,
    )
    assert answer.status_code in (201, 422), answer.text
    if answer.status_code == 201:
        assert client.get(f"/api/stories/{answer.json()['id']}").status_code == 200


def test_a_draft_is_nobodys_to_read(send, client):
    sent = send(state="draft", body="Half a thought")
    assert client.get(f"/api/stories/{sent['id']}").status_code == 404
    assert client.get(f"/api/stories/{sent['id']}/next").status_code == 404
    assert client.get("/api/stories").json()["items"] == []


def test_a_draft_needs_no_body_yet_but_a_published_story_does(send):
    send(state="draft", body="", source_uri="urn:a")
    send(422, state="published", body="", source_uri="urn:a")


def test_a_published_story_does_not_become_a_draft_again(send, client):
    sent = send(source_uri="urn:a")
    send(409, source_uri="urn:a", state="draft", version=9)
    assert client.get(f"/api/stories/{sent['id']}").status_code == 200


def test_an_embargoed_story_is_not_public_before_the_embargo_lifts(send, client, engine):
    older = send(headline="Older")
    sent = send(embargo_until=in_hours(1))
    assert client.get(f"/api/stories/{sent['id']}").status_code == 404
    assert [s["id"] for s in client.get("/api/stories").json()["items"]] == [older["id"]]
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE story SET embargo_until = now(), published_at = now() WHERE id = :id"),
            {"id": int(sent["id"])},
        )
    assert client.get(f"/api/stories/{sent['id']}").status_code == 200
    listed = [s["id"] for s in client.get("/api/stories").json()["items"]]
    assert listed == [sent["id"], older["id"]]


def test_a_story_whose_embargo_moves_is_dated_by_when_it_lifts(send, engine):
    sent = send(source_uri="urn:a", embargo_until=in_hours(1))
    later = in_hours(5)
    send(200, source_uri="urn:a", embargo_until=later)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT published_at FROM story")).scalar_one()
    assert kept == datetime.fromisoformat(later)
    assert sent["outcome"] == "created"


def test_an_expired_story_stays_readable(send, client):
    sent = send(expires_at="2020-01-01T00:00:00Z")
    assert client.get(f"/api/stories/{sent['id']}").status_code == 200


def test_a_topic_lists_what_stands_below_it(send, client):
    tennis = send(topics=["sport/tennis"])["id"]
    table_tennis = send(topics=["sport/table-tennis"])["id"]
    sport = send(topics=["sport"])["id"]
    send(topics=["sports"])
    send(topics=["world/sport"])

    def listed(topic):
        items = client.get("/api/stories", params={"topic": topic}).json()["items"]
        return [item["id"] for item in items]

    assert listed("sport") == [sport, table_tennis, tennis]
    assert listed("sport/tennis") == [tennis]
    assert listed("nobody/wrote/this") == []
    assert client.get("/api/stories", params={"topic": "no t"}).status_code == 422


def test_stories_are_searched_as_readers_type(send, client):
    sent = [send(headline=f"Müller wins {n}", topics=["sport"])["id"] for n in range(3)]
    send(headline="Müllers Haus", topics=["world"], language="de")
    send(headline="A draft of Müller", state="draft")

    def listed(**params):
        answer = client.get("/api/stories", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [item["id"] for item in listed(q="MULLER", topic="sport")["items"]] == sent[::-1]
    assert len(listed(q="müller")["items"]) == 4
    first = listed(q="muller wins", limit=2)
    rest = listed(q="muller wins", limit=2, cursor=first["next"])
    assert [item["id"] for item in first["items"] + rest["items"]] == sent[::-1]
    assert rest["next"] is None
    assert listed(q="!") == listed(q="") == listed(q="nobody") == {"items": [], "next": None}
    assert client.get("/api/stories", params={"q": "x" * 201}).status_code == 422


def test_pages_of_the_list_hold_every_story_once_the_newest_first(send, client):
    sent = [send(headline=f"Story {n}")["id"] for n in range(7)]
    seen, cursor = [], None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/stories", params=params).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sent[::-1]


def test_the_next_story_is_the_next_older_one_and_the_last_has_none(send, client):
    oldest, middle, newest = (send(headline=h, topics=[h])["id"] for h in ("a", "b", "a"))
    assert client.get(f"/api/stories/{newest}/next").json()["id"] == middle
    assert client.get(f"/api/stories/{middle}/next").json()["id"] == oldest
    assert client.get(f"/api/stories/{oldest}/next").status_code == 404
    following = client.get(f"/api/stories/{newest}/next", params={"topic": "a"})
    assert following.json()["id"] == oldest


@pytest.mark.parametrize("story_id", ["1", "abc", "0", "-1", "9" * 19, "9" * 40, "%00", "\uff11"])
def test_an_unknown_story_is_not_found(client, as_ingester, story_id):
    for answer in (
        client.get(f"/api/stories/{story_id}"),
        client.get(f"/api/stories/{story_id}/next"),
        client.post(f"/api/stories/{story_id}/retract", headers=as_ingester),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "cursor", ["x", "", "AAAA", "!!!", "LTk5OTk5OTk5OTk5OTk5OTk5OS4x", "x" * 1001]
)
def test_a_cursor_of_somebodys_own_making_is_refused(client, cursor):
    answer = client.get("/api/stories", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_retracted_story_is_gone_and_stays_so_when_it_is_delivered_again(
    send, client, as_ingester
):
    sent = send(source_uri="urn:a", version=4)
    for _ in range(2):
        answer = client.post(f"/api/stories/{sent['id']}/retract", headers=as_ingester)
        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["state"]) == (sent["id"], "retracted")
    assert client.get(f"/api/stories/{sent['id']}").status_code == 404
    assert send(200, source_uri="urn:a")["outcome"] == "unchanged"
    assert send(200, source_uri="urn:a", version=4)["outcome"] == "ignored"
    assert client.get(f"/api/stories/{sent['id']}").status_code == 404
    assert send(200, source_uri="urn:a", version=5, headline="Mended")["outcome"] == "updated"
    assert client.get(f"/api/stories/{sent['id']}").json()["headline"] == "Mended"


def test_a_retraction_is_written_down_once(send, client, as_ingester, counts):
    sent = send()
    before = counts()["audit"]
    for _ in range(2):
        client.post(f"/api/stories/{sent['id']}/retract", headers=as_ingester)
    assert counts()["audit"] == before + 1
