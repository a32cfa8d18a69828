"""The table `app`: places to push through, with their sealed credentials."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from service.sealing import SealKeys, seal, unseal
from service.store.schema import AppRow

_APP = SQLModel.metadata.tables[AppRow.__tablename__]
_A = _APP.c
WEB_PUSH = "webpush"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One place to push through. `credentials` and `login_key` are sealed.

    `origins` are the sites that a web app's pages may be on, `prompt` the rules by which they ask.
    """

    name: str
    provider: str
    options: Mapping[str, Any] = field(default_factory=dict)
    credentials: bytes | None = None
    login_key: bytes | None = None
    origins: tuple[str, ...] = ()
    prompt: Mapping[str, Any] = field(default_factory=dict)
    disabled_at: datetime | None = None

    @property
    def is_default(self) -> bool:
        """Whether it is its provider's default app, whose credentials the environment has."""
        return self.name == self.provider


def seal_credentials(keys: SealKeys, name: str, credentials: Mapping[str, Any]) -> bytes:
    """Return an app's credentials sealed: in another app's row they cannot be opened."""
    return seal(keys, json.dumps(dict(credentials)), credentials_owner(name))


def open_credentials(keys: SealKeys, app: App) -> dict[str, Any]:
    """Return an app's own credentials; none where it has none, or our keys do not open them."""
    content = unseal(keys, app.credentials, credentials_owner(app.name)) or "{}"
    credentials: dict[str, Any] = json.loads(content)
    return credentials


def credentials_owner(name: str) -> str:
    """Return for whom an app's credentials are sealed."""
    return f"app:{name}"


def login_owner(name: str) -> str:
    """Return for whom an app's login key is sealed."""
    return f"login:{name}"


def open_login_key(keys: SealKeys, app: App) -> str:
    """Return what the app's logins are signed with; empty where it takes none."""
    return unseal(keys, app.login_key, login_owner(app.name)).decode()


def every_app(session: Session) -> dict[str, App]:
    """Return every app that has a row, by name; disabled ones too."""
    rows = session.execute(select(_APP).order_by(_A.name))
    return {row.name: _app(row) for row in rows}


def providers(session: Session) -> dict[str, str]:
    """Return the provider of each app that has a row; any other name is a default app's."""
    return {row.name: row.provider for row in session.execute(select(_A.name, _A.provider))}


def get(session: Session, name: str) -> App | None:
    """Return the app's row; None without one."""
    row = session.execute(select(_APP).where(_A.name == name)).first()
    return None if row is None else _app(row)


def web_apps(session: Session) -> list[App]:
    """Return the web apps that are in use and have a row, by name."""
    query = select(_APP).where(_A.provider == WEB_PUSH, _A.disabled_at.is_(None))
    return [_app(row) for row in session.execute(query.order_by(_A.name))]


def revision(session: Session) -> int:
    """Return a number that grows with every change of any app."""
    return int(session.execute(select(func.coalesce(func.sum(_A.revision), 0))).scalar_one())


def lock(session: Session, name: str) -> App | None:
    """Return an app that nobody else changes before the transaction ends."""
    row = session.execute(select(_APP).where(_A.name == name).with_for_update()).first()
    return None if row is None else _app(row)


def add(session: Session, app: App) -> bool:
    """Keep a new app; False when its name is taken."""
    query = insert(_APP).values(_values(app)).on_conflict_do_nothing().returning(_A.name)
    return session.execute(query).first() is not None


def save(session: Session, app: App) -> None:
    """Keep an app as it stands now."""
    changes = _values(app) | {"revision": _A.revision + 1}
    session.execute(update(_APP).where(_A.name == app.name).values(changes))


def _values(app: App) -> dict[str, Any]:
    values = {name: getattr(app, name) for name in App.__dataclass_fields__}
    return values | {
        "options": dict(app.options),
        "origins": list(app.origins),
        "prompt": dict(app.prompt),
    }


def _app(row: Row[Any]) -> App:
    values = {name: getattr(row, name) for name in App.__dataclass_fields__}
    return App(**values | {"origins": tuple(row.origins)})
