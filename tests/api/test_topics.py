import pytest
from sqlalchemy import text

from service.store.session import transaction
from service.store.stories import topics
from tests.builders import a_follow, a_reader, a_topic


def listed(client, **params):
    return client.get("/api/topics", params=params).json()


def test_a_topic_is_made_with_all_above_it(client, as_admin):
    answer = client.post(
        "/api/topics", json={"path": "/Sport/Tennis", "label": " Lawn\n tennis "}, headers=as_admin
    )
    assert answer.status_code == 201
    tennis = {"path": "sport/tennis", "label": "Lawn tennis", "parent": "sport", "followers": 0}
    assert answer.json() == tennis
    sport = {"path": "sport", "label": "Sport", "parent": None, "followers": 0}
    assert listed(client) == {"items": [sport, tennis], "next": None}


def test_labels_are_in_the_language_that_is_asked_for(client, as_admin):
    body = {"path": "sport/rowing", "label": "Rowing", "labels": {"de": "Rudern", "pt_BR": "Remo"}}
    wrong = client.post("/api/topics", json=body, headers=as_admin)
    assert wrong.json()["errors"][0]["field"] == "labels"
    body["labels"] = {"de": " Rudern ", "pt-BR": "Remo"}
    assert client.post("/api/topics", json=body, headers=as_admin).status_code == 201

    def labels(headers=None, **params):
        answer = client.get("/api/topics", params=params, headers=headers)
        return [topic["label"] for topic in answer.json()["items"]], answer.headers.get("vary")

    assert labels() == (["Sport", "Rowing"], "Accept-Language, Origin")
    assert labels(lang="de-CH") == (["Sport", "Rudern"], "Origin")
    accepted = {"accept-language": "fr;q=0.3, pt-BR, *;q=0.1"}
    assert labels(accepted)[0] == ["Esporte", "Remo"]
    assert labels({"accept-language": "en-US,de;q=0.5"})[0] == ["Sport", "Rowing"]
    assert labels({"accept-language": ";;q=x,,-"})[0] == ["Sport", "Rowing"]
    assert labels(accepted, lang="en")[0] == ["Sport", "Rowing"]
    assert client.get("/api/topics", params={"lang": "no tag"}).status_code == 422
    client.post(
        "/api/topics", json={"path": "sport/rowing", "labels": {"de": ""}}, headers=as_admin
    )
    assert labels(lang="de")[0] == ["Sport", "Rowing"]


def test_a_known_topic_gets_a_new_name(client, as_admin):
    client.post("/api/topics", json={"path": "sport"}, headers=as_admin)
    again = client.post("/api/topics", json={"path": "sport", "label": "Games"}, headers=as_admin)
    assert (again.status_code, again.json()["label"]) == (200, "Games")
    kept = client.post("/api/topics", json={"path": "sport"}, headers=as_admin)
    assert kept.json()["label"] == "Games"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "path"),
        ({"path": ""}, "path"),
        ({"path": "a b"}, "path"),
        ({"path": "story/1"}, "path"),
        ({"path": "a//b"}, "path"),
        ({"path": "a/" * 100 + "a"}, "path"),
        ({"path": "a", "label": "x" * 121}, "label"),
        ({"path": "a", "name": "x"}, "name"),
    ],
)
def test_a_wrong_topic_is_refused_by_field(client, as_admin, body, field):
    answer = client.post("/api/topics", json=body, headers=as_admin)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert listed(client)["items"] == []


def test_only_admins_make_topics(client, as_editor):
    assert client.post("/api/topics", json={"path": "a"}, headers=as_editor).status_code == 403


def test_parents_come_before_their_children_on_every_page(client, session):
    paths = ["a", "a-b", "a-b/c", "a/b", "a/b/c", "ab", "b/1", "b", "a1"]
    topics.ensure(session, paths)
    session.commit()
    seen, cursor = [], None
    while True:
        page = listed(client, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["path"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(paths)
    for n, path in enumerate(seen):
        parent = path.rpartition("/")[0]
        assert not parent or parent in seen[:n]


def test_followers_are_those_of_the_topic_itself(client, session):
    sport, tennis = a_topic(session, "sport"), a_topic(session, "sport/tennis")
    for n in range(3):
        reader = a_reader(session)
        a_follow(session, reader, tennis)
        if n:
            a_follow(session, reader, sport)
    session.commit()
    assert {t["path"]: t["followers"] for t in listed(client)["items"]} == {
        "sport": 2,
        "sport/tennis": 3,
    }


def test_a_new_follower_counts_at_once_while_counting_is_cheap(client, session):
    sport = a_topic(session, "sport")
    session.commit()
    for n in range(3):
        assert listed(client)["items"][0]["followers"] == n
        a_follow(session, a_reader(session), sport)
        session.commit()


def test_a_dear_count_is_kept_for_a_while(engine, session, monkeypatch):
    sport = a_topic(session, "sport")
    session.commit()
    monkeypatch.setattr(topics, "EXPENSIVE_S", 0.0)
    monkeypatch.setattr(topics, "LONGEST_KEPT_S", 60.0)
    clock = iter([0.0, 0.0, 10.0, 10.0, 11.0, 100.0, 100.0, 110.0, 110.0])
    monkeypatch.setattr(topics.time, "monotonic", lambda: next(clock))
    followers = []
    for _ in range(3):
        a_follow(session, a_reader(session), sport)
        session.commit()
        with transaction(engine) as other:
            followers.append(topics.page(other).items[0].followers)
    assert followers == [1, 1, 3]


def test_a_followed_storys_own_topic_is_not_listed(client, as_ingester, session):
    story = client.post(
        "/api/stories", json={"headline": "h", "body": "b", "topics": ["t"]}, headers=as_ingester
    ).json()
    assert topics.ensure_story_topic(session, int(story["id"])) == int(story["id"])
    session.commit()
    assert [item["path"] for item in listed(client)["items"]] == ["t"]
    kept = session.execute(text("SELECT path, label FROM topic WHERE path LIKE 'story/%'")).one()
    assert kept == (f"story/{story['id']}", "h")
