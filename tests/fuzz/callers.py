"""Every kind of caller, and what its requests carry."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import argon2
import jwt
from fastapi import FastAPI

from service.domain.people import Role, Scope
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.staff import accounts
from tests.site_client import SiteClient

MACHINE = "machine with all scopes"
"""Sets the things up, and calls nothing itself: there is a key of each scope."""
KEYS = {
    "stories key": (Scope.STORIES_WRITE,),
    "alerts key": (Scope.ALERTS_WRITE,),
    "admin key": (Scope.ADMIN,),
    MACHINE: tuple(Scope),
}
STAFF = {"editor": Role.EDITOR, "admin": Role.ADMIN}
READERS = ("reader", "another reader", "person of an app")
KINDS = ("anonymous", *READERS, *STAFF, *(kind for kind in KEYS if kind != MACHINE))
VISITORS = ("admin", "editor", "reader", "anonymous")
"""Who visits pages, by cookies."""
LOGIN_KEY = "what only the app's backend and we know"
APP = "apns"
PASSWORD = "correct horse battery staple"
PASSWORD_HASH = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""At the least cost; what a password is worth is argon2's matter."""


class Callers:
    """Credentials of each kind; they are made again when a call has ended them."""

    def __init__(self, app: FastAPI, client: SiteClient) -> None:
        self.app = app
        self.client = client
        self._headers: dict[str, dict[str, str]] = {"anonymous": {}}
        for kind in (*KEYS, *STAFF, *READERS):
            self.renew(kind)

    def headers(self, kind: str) -> dict[str, str]:
        return self._headers[kind]

    def cookies(self, kind: str) -> dict[str, str]:
        """Return the headers of a visitor of pages: a reader is known by its cookie there."""
        headers = self._headers[kind]
        if kind in READERS:
            return {"Cookie": f"newszop_reader={headers['Authorization'].removeprefix('Bearer ')}"}
        return headers

    def can_call(self, kind: str, address: str) -> bool:
        """Whether a call there is one for this kind, unless its credentials have ended."""
        return "/me" in address if kind in READERS else kind != "anonymous"

    def renew(self, kind: str) -> None:
        """Give the kind new credentials."""
        if kind in KEYS:
            with transaction(self.app.state.engine) as session:
                _, key = accounts.add_key(session, kind, KEYS[kind])
            self._headers[kind] = _bearer(key)
        elif kind in STAFF:
            self._headers[kind] = self._sign_in(STAFF[kind])
        elif kind in READERS:
            token = self._call("POST", "/api/readers", {}, {"timezone": "Asia/Kolkata"})["token"]
            self._headers[kind] = _bearer(token)
            if kind == "person of an app":
                self._log_in(kind)

    def _log_in(self, kind: str) -> None:
        """Have the app's backend say who the reader is."""
        change = {"login_key": LOGIN_KEY}
        self._call("PATCH", f"/api/admin/apps/{APP}", self._headers[MACHINE], change)
        token = self._call("POST", "/api/me/login", self._headers[kind], login()).get("token")
        if token is not None:
            self._headers[kind] = _bearer(token)

    def _call(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> dict[str, Any]:
        answer = self.client.request(method, path, json=body, headers=headers)
        if answer.status_code == 401:
            self.renew(MACHINE)
            headers = self._headers[MACHINE]
            answer = self.client.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def _sign_in(self, role: Role) -> dict[str, str]:
        now = datetime.now(UTC)
        with transaction(self.app.state.engine) as session:
            row = StaffRow(
                email=f"{now.timestamp()}@news.example", password_hash=PASSWORD_HASH, role=role
            )
            session.add(row)
            session.flush()
            token = accounts.open_session(session, row.id, now, timedelta(hours=1))
        secret = self.app.state.settings.secret_key.encode()
        key = hashlib.sha256(b"csrf:" + secret).digest()
        form = hmac.new(key, token.encode(), hashlib.sha256).hexdigest()
        return {"Cookie": f"newszop_staff={token}", "X-CSRF-Token": form}


def login() -> dict[str, str]:
    """Return the body of a login as the app's backend signs it."""
    claims = {"sub": "reader-7", "aud": APP, "exp": datetime.now(UTC) + timedelta(minutes=5)}
    return {"token": jwt.encode(claims, LOGIN_KEY)}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
