"""Moments at the edges of the calendar, wherever a caller may name one: taken or refused by field.

What was taken is read again, by the API and on pages, where it is counted with.
"""

from datetime import UTC, datetime, timedelta

import pytest

from service.store.session import transaction
from service.store.staff import accounts
from tests import builders as a

EDGES = (
    *("0001-01-01T00:00+14:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00-14:00"),
    *("9999-12-31T23:59-14:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59+14:00"),
    *("10000-01-01T00:00:00Z", "0000-12-31T00:00:00Z", "2016-12-31T23:59:60Z"),
    *("2026-02-30T00:00:00Z", "2026-05-01T12:30:00.1234567891234Z", "2026-05-01T24:00:00Z"),
    *("2026-05-01T12:30:00+24:00", "2026-05-01T12:30:00+23:59:59", "20260501T123000Z"),
    *("2026-05-01T12:30", "T", "2026-05-01T12:30:00Z\x00"),
)


@pytest.fixture
def story_id(engine):
    with transaction(engine) as session:
        a.a_follow(session, a.a_reader(session, timezone="Pacific/Kiritimati"), a.a_topic(session))
        return str(a.a_story(session, state="published").id)


@pytest.fixture
def as_staff(engine, editor):
    with transaction(engine) as session:
        token = accounts.open_session(session, editor.id, datetime.now(UTC), timedelta(hours=1))
    return {"Cookie": f"newszop_staff={token}"}


@pytest.fixture
def send(client, as_editor, as_reader, story_id):
    """Name a moment in every place; returns the answers by place."""

    def call(moment):
        alerts = f"/api/stories/{story_id}/alerts"
        story = {"headline": "Rain", "body": "It rains.", "topics": ["world"]}
        local = {"send_at": moment, "local_time": "23:59"}
        return {
            "embargo_until": client.post(
                "/api/stories", json=story | {"embargo_until": moment}, headers=as_editor
            ),
            "expires_at": client.post(
                "/api/stories", json=story | {"expires_at": moment}, headers=as_editor
            ),
            "muted_until": client.put(
                "/api/me/subscriptions/world", json={"muted_until": moment}, headers=as_reader
            ),
            "estimate": client.post(f"{alerts}/estimate", json=local, headers=as_editor),
            "local": client.post(
                alerts, json=local | {"missed": "now", "dry_run": True}, headers=as_editor
            ),
            "send_at": client.post(alerts, json={"send_at": moment}, headers=as_editor),
        }

    return call


@pytest.mark.parametrize("moment", EDGES)
def test_no_moment_is_a_fault_of_ours(client, send, as_staff, as_editor, as_reader, moment):
    answers = send(moment)
    for place, answer in answers.items():
        assert answer.status_code < 500, (place, answer.text)
        if answer.status_code == 422:
            assert answer.json()["errors"], (place, answer.text)
    pages = ["/desk", "/desk/alerts", "/feed.xml", "/feed.json", "/sitemap-news.xml", "/"]
    pages += [
        f"/desk/{'alerts' if answer.status_code == 202 else 'stories'}/{answer.json()['id']}"
        for place, answer in answers.items()
        if place in ("embargo_until", "expires_at", "send_at") and answer.status_code < 300
    ]
    calls = [(page, as_staff) for page in pages]
    calls += [("/api/me/subscriptions", as_reader), ("/api/alerts", as_editor)]
    for path, headers in calls:
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.text)
