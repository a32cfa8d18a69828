from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.people import Scope
from service.http import auth
from service.store.session import transaction
from service.store.staff import accounts

STORY = {"headline": "h", "body": "b"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nzp_00000000_unknown"},
        {"Authorization": "Bearer \xff".encode("latin-1")},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "newszop_staff=nobody"},
    ],
)
def test_a_stranger_is_asked_who_calls(client, headers):
    for answer in (
        client.post("/api/stories", json=STORY, headers=headers),
        client.get("/api/admin/queues", headers=headers),
    ):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_without_the_scope_is_told_which_one_is_missing(client, as_ingester, as_editor):
    for headers in (as_ingester, as_editor):
        answer = client.get("/api/admin/queues", headers=headers)
        assert answer.status_code == 403
        assert "admin" in answer.json()["detail"]


def test_a_key_with_only_alerts_may_not_write_stories(client, make_key):
    headers = {"Authorization": f"Bearer {make_key(Scope.ALERTS_WRITE)}"}
    answer = client.post("/api/stories", json=STORY, headers=headers)
    assert answer.status_code == 403
    assert "stories:write" in answer.json()["detail"]


def test_a_wrong_scope_is_found_before_a_wrong_field(client, make_key):
    headers = {"Authorization": f"Bearer {make_key(Scope.ALERTS_WRITE)}"}
    assert client.post("/api/stories", json={}, headers=headers).status_code == 403


def test_a_key_is_shown_once_and_kept_only_as_a_hash(engine, make_key):
    secret = make_key(Scope.ADMIN)
    assert secret.startswith("nzp_")
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM api_key")).one()
    assert secret.split("_", 2)[2] not in str(row)
    assert secret.split("_")[1] == row.prefix


def test_a_revoked_key_ends_within_seconds(client, engine, make_key, monkeypatch):
    secret = make_key(Scope.ADMIN)
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/admin/queues", headers=headers).status_code == 200
    with transaction(engine) as session:
        key = accounts.key_of(session, secret)
        accounts.revoke_key(session, key.id, datetime.now(UTC))
    monkeypatch.setattr(auth.time, "monotonic", lambda: 1e12)
    assert client.get("/api/admin/queues", headers=headers).status_code == 401


def test_a_key_that_is_used_says_when(client, engine, make_key):
    secret = make_key(Scope.ADMIN)
    for _ in range(3):
        client.get("/api/admin/queues", headers={"Authorization": f"Bearer {secret}"})
    with engine.connect() as connection:
        used = connection.execute(text("SELECT last_used_at FROM api_key")).scalar_one()
    assert datetime.now(UTC) - used < timedelta(minutes=1)


@pytest.fixture
def cookie(engine, editor):
    with transaction(engine) as session:
        token = accounts.open_session(session, editor.id, datetime.now(UTC), timedelta(hours=1))
    return {"Cookie": f"newszop_staff={token}"}


def test_the_staff_cookie_opens_get_calls_and_nothing_else(client, cookie):
    assert client.get("/api/admin/audit", headers=cookie).status_code == 403
    assert client.post("/api/stories", json=STORY, headers=cookie).status_code == 401


def test_a_closed_session_opens_nothing(client, engine, editor, cookie):
    with transaction(engine) as session:
        accounts.close_sessions_of(session, editor.id)
    assert client.get("/api/admin/audit", headers=cookie).status_code == 401


def test_a_key_beside_a_cookie_counts(client, cookie, as_admin):
    assert client.get("/api/admin/audit", headers=cookie | as_admin).status_code == 200
