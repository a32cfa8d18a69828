"""What a developer does: run the commands of the start page, and push once to a device."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import httpx
import pytest

from service.domain import receipt
from service.domain.people import Role
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.staff import accounts
from service.web.readers import start_guide
from tests.journeys.people import People, apns_address
from tests.system import System

TOOLS = ("bash", "curl", "openssl")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
CURL = "curl() { command curl -sS -w '\\n%{http_code}' \"$@\"; }\n"
SECRET = "a secret of more than 32 characters"
Command = tuple[dict[str, str], str]


class Commands(HTMLParser):
    """The commands of a page by its sections; the one without a platform is under ""."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, list[Command]] = {"": []}
        self._section = ""
        self._attributes: dict[str, str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "data-platform" in values:
            self._section = values["data-platform"]
            self.sections[self._section] = []
        if tag == "pre":
            self._attributes = values
            self.sections[self._section].append((values, ""))

    def handle_data(self, data: str) -> None:
        if self._attributes is not None:
            values, text = self.sections[self._section][-1]
            self.sections[self._section][-1] = (values, text + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._attributes = None


def shell(script: str, variables: dict[str, str]) -> str:
    """Return what the script prints; it gets the variables and nothing else but the path."""
    environment = {"PATH": os.environ["PATH"]} | variables
    ended = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{script}\n{ended.stderr}"
    return ended.stdout


def run(commands: list[Command], variables: dict[str, str]) -> int:
    """Run the commands in their order, keep what the page says; return how many were calls."""
    calls = 0
    for attributes, text in commands:
        if "data-variables" in attributes:
            pairs = (line.split("=", 1) for line in text.split())
            variables.update({name: variables.get(name, value) for name, value in pairs})
        elif "data-sets" in attributes:
            name = attributes["data-sets"]
            variables[name] = shell(f'{text}\nprintf %s "${name}"', variables)
        else:
            calls += 1
            body, _, status = shell(CURL + text, variables).rpartition("\n")
            assert status == attributes["data-status"], f"{text}\n{status} {body}"
            answer = json.loads(body) if body else {}
            assert set(attributes["data-members"].split()) <= set(answer), f"{text}\n{body}"
            keeps = [pair.split("=") for pair in attributes["data-keeps"].split()]
            variables.update({name: answer[key] for name, key in keeps if key in answer})
    return calls


@pytest.mark.skipif(bool(MISSING), reason=f"not found: {', '.join(MISSING)}")
def test_every_command_of_the_start_page_does_what_the_page_says(
    system: System, people: People, anybody: httpx.Client
) -> None:
    reader = people.reader()
    reader.registers("apns", apns_address())
    reader.follows(people.topic)
    alert = system.finished(system.send(system.ingest(topics=[people.topic])))
    secret = system.environment["NEWSZOP_SECRET_KEY"].encode()
    given = {
        "TOPIC": people.topic,
        "ADMIN_KEY": system.key,
        "LOGIN_SECRET": SECRET,
        "RECEIPT": receipt.sign(secret, int(alert["id"]), 0, 0, 0),
    }
    sections = Commands(anybody.get("/docs/start").text).sections
    backend = sections.pop("")
    assert list(sections) == [platform.anchor for platform in start_guide.PLATFORMS]
    for platform, commands in zip(start_guide.PLATFORMS, sections.values(), strict=True):
        first, *steps = commands
        variables = dict(given)
        if platform.variables["APP"] == "webpush":
            browser = people.browser()
            moved = f"{browser['address']}0"
            variables |= {"ADDRESS": browser["address"], "NEW_ADDRESS": moved}
        run([first], variables)
        assert run(backend, variables) == 2
        assert variables["SERVER"] == system.url
        assert run(steps, variables) == len(platform.steps)
    assert system.alert(alert)["receipts"]["opened"] == 1


@pytest.fixture
def admin(system: System) -> Iterator[httpx.Client]:
    """An admin who is signed in."""
    with transaction(system.engine) as session:
        row = StaffRow(email="developer@news.example", password_hash="none", role=Role.ADMIN)
        session.add(row)
        session.flush()
        token = accounts.open_session(session, row.id, datetime.now(UTC), timedelta(hours=1))
    with httpx.Client(base_url=system.url, timeout=60, cookies={"newszop_staff": token}) as client:
        yield client


def test_a_developer_pushes_to_a_browser_and_the_service_keeps_its_address_to_itself(
    system: System, people: People, admin: httpx.Client
) -> None:
    browser = people.browser()
    token = re.search(r'name="csrf-token" content="(\w+)"', admin.get("/control/test-push").text)
    assert token
    subscription = json.dumps({"endpoint": browser["address"], "keys": browser["keys"]})
    form = {"csrf": token[1], "app": "webpush", "address": subscription}
    page = admin.post("/control/test-push", data=form).text
    assert "The provider took the push." in page, page
    assert "HTTP 201" in page
    [push] = system.pushes(address=browser["address"])["items"]
    assert "Test push" in json.dumps(push)
    last_part = browser["address"].rpartition("/")[2]
    assert last_part not in system.log("service", 1_000_000)
    assert last_part not in admin.get("/control/audit").text
