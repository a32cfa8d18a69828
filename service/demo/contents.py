"""What a new demo starts with: a few stories, logins, and API keys.

Everything is looked up before it is created, so a second start changes nothing; a login that no
longer works, because the database was deleted, is created again.
"""

import json
import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import Engine
from sqlmodel import Session

from service.demo.demo_settings import Standins
from service.domain.people import Role, Scope
from service.domain.topic import with_ancestors
from service.store.readers import seeding
from service.store.readers.synthetic_readers import Browser
from service.store.session import transaction
from service.store.staff import accounts

PEOPLE = {"admin": Role.ADMIN, "editor": Role.EDITOR}
SCOPES: dict[str, frozenset[Scope]] = {
    "admin": Role.ADMIN.scopes,
    "editor": Role.EDITOR.scopes,
    "ingester": frozenset({Scope.STORIES_WRITE}),
}
PROVIDERS = {"fcm": 4, "apns": 3, "webpush": 2, "hms": 1}
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of long work, given its name and size; yields a function for the part done."""
STORIES = Path(__file__).with_name("stories.json")


@dataclass(frozen=True, slots=True)
class LoginFile:
    """`demo.json`: the demo's addresses, logins and keys."""

    path: Path

    def read(self) -> dict[str, Any]:
        """Return what an earlier start wrote; empty without one."""
        if not self.path.exists():
            return {}
        content: dict[str, Any] = json.loads(self.path.read_text())
        return content

    def write(self, content: dict[str, Any]) -> None:
        """Write it, readable by its owner only, completely or not at all."""
        part = self.path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        part.replace(self.path)


def ensure_people(engine: Engine, earlier: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return a login and a key for each role, those of `earlier` where they still work."""
    now = datetime.now(UTC)
    with transaction(engine) as session:
        return {
            name: _login(session, name, earlier.get(name, {}), now) | _key(session, name, earlier)
            for name in SCOPES
        }


def _login(session: Session, name: str, earlier: dict[str, str], now: datetime) -> dict[str, str]:
    if name not in PEOPLE:
        return {}
    email = f"{name}@newszop.example"
    password = earlier.get("password") or secrets.token_urlsafe(9)
    if accounts.authenticate(session, email, password, now) is None:
        person = accounts.find_staff(session, email)
        if person is None:
            accounts.add_staff(session, email, password, PEOPLE[name])
        else:
            accounts.set_password(session, person.id, password)
    return {"email": email, "password": password}


def _key(session: Session, name: str, earlier: dict[str, Any]) -> dict[str, str]:
    secret = earlier.get(name, {}).get("key", "")
    if not secret or accounts.key_of(session, secret) is None:
        _, secret = accounts.add_key(session, f"demo {name}", SCOPES[name])
    return {"key": secret}


def ensure_readers(url: str, target: int, standins: Standins, progress: Progress) -> None:
    """Create the missing readers, on every provider's stand-in and on many topics."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM reader").fetchone()
    existing = row[0] if row else 0
    if existing >= target:
        return
    paths = with_ancestors(path for story in stories() for path in story["topics"])
    topics = {path: 1 / n for n, path in enumerate(dict.fromkeys([*paths, *seeding.TOPICS]), 1)}
    providers = {name: n for name, n in PROVIDERS.items() if name in standins.providers}
    mix = seeding.Mix(topics=topics, providers=providers, browsers=browser_source(standins.control))
    with progress("Readers", target - existing) as report:
        seeding.seed(url, readers=target - existing, mix=mix, seed=existing, progress=report)


def browser_source(control: str) -> Callable[[int], list[Browser]]:
    """Return a function that asks the stand-ins for browsers that they can decrypt for."""

    def create_browsers(count: int) -> list[Browser]:
        body = {"provider": "webpush", "count": count}
        answer = httpx.post(f"{control}/control/subscriptions", json=body, timeout=60)
        items = answer.raise_for_status().json()["items"]
        return [Browser(i["address"], i["keys"]["p256dh"], i["keys"]["auth"]) for i in items]

    return create_browsers


def stories() -> list[dict[str, Any]]:
    """Return the demo's stories, as the ingestion API takes them."""
    content: list[dict[str, Any]] = json.loads(STORIES.read_text())
    return content
