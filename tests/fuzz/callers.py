"""Every kind of caller of the API, and one thing of each kind that a path may name."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI

from service.actions import readers
from service.domain.people import Role, Scope
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.staff import accounts
from service.unit_of_work import unit_of_work
from tests import builders as a

KINDS = ("anonymous", "reader", "editor", "key holder", "admin")
SCOPES = {"key holder": (Scope.STORIES_WRITE, Scope.ALERTS_WRITE), "admin": tuple(Scope)}


class Callers:
    """Credentials of each kind; a reader's are made again when a call has ended them."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._headers = {kind: self._register(kind) for kind in KINDS}

    def headers(self, kind: str) -> dict[str, str]:
        return self._headers[kind]

    def renew(self, kind: str) -> None:
        """Give the kind new credentials, after an answer of 401."""
        if kind != "anonymous":
            self._headers[kind] = self._register(kind)

    def _register(self, kind: str) -> dict[str, str]:
        engine = self.app.state.engine
        if kind == "anonymous":
            return {}
        if kind == "reader":
            with unit_of_work(engine, self.app.state.broker) as work:
                _, token = readers.register_reader(work, "en", "UTC", None)
            return {"Authorization": f"Bearer {token}"}
        if kind == "editor":
            return self._sign_in()
        with transaction(engine) as session:
            _, key = accounts.add_key(session, kind, SCOPES[kind])
        return {"Authorization": f"Bearer {key}"}

    def _sign_in(self) -> dict[str, str]:
        now = datetime.now(UTC)
        with transaction(self.app.state.engine) as session:
            row = StaffRow(
                email=f"{now.timestamp()}@news.example", password_hash="none", role=Role.EDITOR
            )
            session.add(row)
            session.flush()
            token = accounts.open_session(session, row.id, now, timedelta(hours=1))
        secret = self.app.state.settings.secret_key.encode()
        key = hashlib.sha256(b"csrf:" + secret).digest()
        form = hmac.new(key, token.encode(), hashlib.sha256).hexdigest()
        return {"Cookie": f"newszop_staff={token}", "X-CSRF-Token": form}


def add_things(app: FastAPI) -> dict[str, str]:
    """Add a story, a topic and an alert that has ended; return the path parameters for them."""
    with transaction(app.state.engine) as session:
        a.a_topic(session, "world")
        story = a.a_story(session, state="published")
        alert = a.an_alert(session, story, state="finished", finished_at=a.NOON)
        reader = a.a_reader(session)
        device = a.a_device(session, reader)
        return {
            "story_id": str(story.id),
            "alert_id": str(alert.id),
            "device_id": str(device.id),
            "topic": "world",
            "name": "apns",
        }
