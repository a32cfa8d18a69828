import pytest
from sqlalchemy import text

from service.actions import readers as reader_actions
from service.store.stories import topic_codes
from tests.builders import a_story, a_topic

LATER = "2031-05-01T12:00:00+05:30"


@pytest.fixture(autouse=True)
def _topics(session):
    for path in ("sport", "sport/tennis", "world"):
        a_topic(session, path)
    session.commit()


@pytest.fixture
def put(client):
    def follow(headers, path, **terms):
        return client.put(f"/api/me/subscriptions/{path}", headers=headers, json=terms or None)

    return follow


@pytest.fixture
def count(engine):
    def of(table):
        with engine.connect() as connection:
            return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()

    return of


def followed(client, headers):
    items = client.get("/api/me/subscriptions", headers=headers).json()["items"]
    return [item["topic"] for item in items]


def test_a_topic_is_followed_with_nothing_said(client, as_reader):
    path = "/api/me/subscriptions/sport/tennis"
    expected = {"topic": "sport/tennis", "least_urgency": "quiet", "muted_until": None}
    made = client.put(path, headers=as_reader)
    assert (made.status_code, made.json()) == (201, expected)
    again = client.put(path, headers=as_reader, json={})
    assert (again.status_code, again.json()) == (200, expected)
    assert client.get(path, headers=as_reader).json() == expected
    assert followed(client, as_reader) == ["sport/tennis"]


def test_a_topic_is_followed_and_unfollowed_by_its_code(client, as_reader, session):
    sport = session.execute(text("SELECT id FROM topic WHERE path = 'sport'")).scalar_one()
    topic_codes.save(session, {"medtop:20000344": sport})
    session.commit()
    for code in ("medtop:15000000", "medtop:20000344"):
        path = f"/api/me/subscriptions/{code}"
        assert client.put(path, headers=as_reader).json()["topic"] == "sport"
        assert client.get(path, headers=as_reader).json()["topic"] == "sport"
        assert followed(client, as_reader) == ["sport"]
        assert client.delete(path, headers=as_reader).status_code == 204
        assert followed(client, as_reader) == []
    unknown = client.put("/api/me/subscriptions/medtop:99999999", headers=as_reader)
    assert unknown.status_code == 404


def test_terms_are_kept_and_what_is_left_out_is_the_default(client, as_reader, put):
    made = put(as_reader, "sport", least_urgency="breaking", muted_until=LATER)
    assert made.json() == {
        "topic": "sport",
        "least_urgency": "breaking",
        "muted_until": "2031-05-01T06:30:00+00:00",
    }
    changed = put(as_reader, "sport", least_urgency="normal")
    assert changed.status_code == 200
    assert changed.json() == {"topic": "sport", "least_urgency": "normal", "muted_until": None}
    page = client.get("/api/me/subscriptions", headers=as_reader).json()
    assert page == {"items": [changed.json()], "next": None}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"least_urgency": "loud"}, "least_urgency"),
        ({"least_urgency": 2}, "least_urgency"),
        ({"least_urgency": None}, "least_urgency"),
        ({"muted_until": "2031-05-01T12:00:00"}, "muted_until"),
        ({"muted_until": "tomorrow"}, "muted_until"),
        ({"muted_until": 1900000000}, "muted_until"),
        ({"muted_until": "2031-02-30T12:00:00Z"}, "muted_until"),
        ({"muted": True}, "muted"),
    ],
)
def test_wrong_terms_name_their_field_and_change_nothing(client, as_reader, put, terms, field):
    put(as_reader, "sport", least_urgency="normal")
    for path in ("sport", "world"):
        answer = put(as_reader, path, **terms)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    page = client.get("/api/me/subscriptions", headers=as_reader).json()
    assert [(item["topic"], item["least_urgency"]) for item in page["items"]] == [
        ("sport", "normal")
    ]


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "sport/golf",
        "Not A Topic!",
        "x" * 500,
        "sport//tennis",
        "sport%00",
        "story/",
        "story/7",
        "story/x",
        "story/007",
        "story/-7",
        "story/9999999999999999999",
        "story/" + "9" * 400,
        "story",
        "%E0%A4%96%E0%A5%87%E0%A4%B2",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_an_unknown_topic_is_not_found_and_not_made(client, as_reader, count, method, path):
    answer = client.request(method, f"/api/me/subscriptions/{path}", headers=as_reader)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert (count("topic"), count("subscription")) == (3, 0)


def test_a_story_is_followed_as_a_topic_of_its_own(client, as_reader, put, session):
    story = a_story(session)
    session.commit()
    path = f"story/{story.id}"
    made = put(as_reader, path, least_urgency="breaking")
    assert made.status_code == 201
    assert made.json()["topic"] == path
    assert put(as_reader, path).status_code == 200
    assert followed(client, as_reader) == [path]
    unfollowed = client.delete(f"/api/me/subscriptions/{path}", headers=as_reader)
    assert unfollowed.status_code == 204
    assert followed(client, as_reader) == []


@pytest.mark.parametrize("state", ["draft", "retracted"])
def test_a_story_that_readers_cannot_see_cannot_be_followed(as_reader, put, session, count, state):
    story = a_story(session, state=state)
    session.commit()
    assert put(as_reader, f"story/{story.id}").status_code == 404
    assert count("topic") == 3


def test_unfollowing_ends_the_subscription_and_may_be_repeated(client, make_reader, put):
    mine, theirs = make_reader(), make_reader()
    for one in (mine, theirs):
        put(one, "sport")
        put(one, "world")
    for _ in range(2):
        answer = client.delete("/api/me/subscriptions/sport", headers=mine)
        assert (answer.status_code, answer.content) == (204, b"")
    assert followed(client, mine) == ["world"]
    assert followed(client, theirs) == ["sport", "world"]
    assert client.get("/api/me/subscriptions/sport", headers=mine).status_code == 404


def test_the_list_comes_in_pages(client, as_reader, put):
    for path in ("world", "sport/tennis", "sport"):
        put(as_reader, path)
    first = client.get("/api/me/subscriptions?limit=2", headers=as_reader).json()
    assert [item["topic"] for item in first["items"]] == ["sport", "sport/tennis"]
    query = {"limit": 2, "cursor": first["next"]}
    rest = client.get("/api/me/subscriptions", headers=as_reader, params=query).json()
    assert [item["topic"] for item in rest["items"]] == ["world"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=%20", "cursor")],
)
def test_a_wrong_page_is_a_problem(client, as_reader, query, field):
    for path in ("subscriptions", "devices"):
        answer = client.get(f"/api/me/{path}?{query}", headers=as_reader)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_reader_follows_so_many_topics_and_no_more(client, as_reader, put, monkeypatch):
    monkeypatch.setattr(reader_actions, "MAX_SUBSCRIPTIONS", 2)
    assert put(as_reader, "sport").status_code == 201
    assert put(as_reader, "world").status_code == 201
    refused = put(as_reader, "sport/tennis")
    assert refused.status_code == 409
    assert "2 topics" in refused.json()["detail"]
    assert put(as_reader, "sport", least_urgency="normal").status_code == 200
    assert followed(client, as_reader) == ["sport", "world"]
