"""An editor tries an alert out on devices of their own; then the readers get theirs."""

import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.domain.people import Role
from service.store.session import transaction
from service.store.staff import accounts as staff
from tests.journeys.people import People, Reader
from tests.system import System

PASSWORD = "correct horse battery staple"


class Editor:
    """An editor's browser, without scripts: its cookies, and the forms it sends."""

    def __init__(self, system: System) -> None:
        self.web = httpx.Client(base_url=system.url, timeout=30, headers={"Accept": "text/html"})
        email = f"editor-{secrets.token_hex(4)}@news.example"
        with transaction(system.engine) as session:
            staff.add_staff(session, email, PASSWORD, Role.EDITOR)
        self.web.post("/login", data={"email": email, "password": PASSWORD})

    def submits(self, path: str, **fields: Any) -> httpx.Response:
        page = self.web.get("/desk", follow_redirects=True).text
        token = re.search(r'name="csrf-token" content="([0-9a-f]+)"', page)
        assert token, "not signed in"
        return self.web.post(path, data={"csrf": token[1]} | fields)

    def ties(self, reader: Reader) -> None:
        """Press the button on My alerts, which receives both cookies."""
        self.web.cookies.set("newszop_reader", reader.token, path="/me")
        assert self.submits("/me/test-pushes").status_code == 303

    def tests(self, story: dict[str, Any], **words: str) -> dict[str, Any]:
        answer = self.submits(f"/desk/stories/{story['id']}/push/test", **words)
        assert answer.status_code == 200, answer.text
        found = re.search(r'href="/desk/alerts/(\d+)">The test', answer.text)
        assert found, answer.text
        return {"id": found[1]}


@pytest.fixture
def editor(system: System) -> Iterator[Editor]:
    made = Editor(system)
    yield made
    made.web.close()


def reached(system: System, alert: dict[str, Any]) -> list[str]:
    """The addresses that have the alert, each as often as it got it."""
    return sorted(item["address"] for item in system.pushes(alert_id=alert["id"])["items"])


def addresses(*readers: Reader) -> list[str]:
    return sorted(device["address"] for reader in readers for device in reader.devices)


def test_a_draft_is_tried_out_on_ones_own_devices_and_then_goes_to_its_readers(
    system: System, people: People, editor: Editor
) -> None:
    follower, mine = people.follower_on_all(), people.follower_on_all()
    all_day = {"quiet_hours": {"from": "00:00", "to": "23:59"}}
    assert mine.call("PATCH", "/api/me", json=all_day).status_code == 200
    editor.ties(mine)
    story = system.ingest(headline="Not out yet", topics=[people.topic], state="draft")
    test = editor.tests(story, title="How does this look?", body="As it will.")
    report = system.finished(test)
    assert (report["test"], report["state"]) == (True, "finished")
    assert report["totals"]["planned"] == report["totals"]["accepted"] == 3
    assert reached(system, test) == addresses(mine)
    pushes = system.pushes(alert_id=test["id"])["items"]
    assert {push["title"] for push in pushes} == {"How does this look?"}
    assert {push["url"] for push in pushes} == {story["url"]}

    mine.call("PATCH", "/api/me", json={"quiet_hours": None})
    editor.submits(
        f"/desk/stories/{story['id']}",
        headline="Out now",
        body="<p>Here.</p>",
        topics=people.topic,
        version="1",
        do="publish",
    )
    alert = system.send(story)
    assert system.finished(alert)["totals"]["accepted"] == 6
    assert reached(system, alert) == addresses(follower, mine)
    listed = {one["id"] for one in system.answer("GET", "/api/alerts")["items"]}
    assert alert["id"] in listed
    assert test["id"] not in listed
    of_alert = {push["collapse_key"] for push in system.pushes(alert_id=alert["id"])["items"]}
    assert not of_alert & {push["collapse_key"] for push in pushes}


def test_a_test_of_a_story_that_had_its_alert_reaches_nobody_who_has_that(
    system: System, people: People, editor: Editor
) -> None:
    follower, mine = people.follower_on_all(), people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    alert = system.send(story)
    system.finished(alert)
    editor.ties(mine)
    test = editor.tests(story, title="A second thought")
    assert system.finished(test)["totals"]["accepted"] == 3
    assert reached(system, test) == addresses(mine)
    correction = system.send(story, update=True, title="The correction")
    assert system.finished(correction)["totals"]["accepted"] == 6
    assert reached(system, correction) == addresses(follower, mine)
