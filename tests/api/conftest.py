"""The application on a real PostgreSQL and a real Redis, and who may call it."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text

from service.domain.people import Role, Scope, Staff
from service.settings import Settings
from service.store.session import transaction
from service.store.staff import accounts
from tests.shared_builds import build_app, build_settings
from tests.site_client import SiteClient

PASSWORD = "correct horse battery staple"


@pytest.fixture
def settings(engine: Engine, database_url: str, redis_url: str) -> Settings:
    return build_settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key="a secret that only tests know",
        public_url="https://news.example",
        providers=("apns", "fcm", "webpush"),
        db_pool=4,
    )


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return build_app(settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[SiteClient]:
    """A caller from this machine; a fault of ours is an answer, as it is outside."""
    with SiteClient(app, raise_server_exceptions=False, client=("127.0.0.1", 50_000)) as opened:
        yield opened


@pytest.fixture
def make_key(engine: Engine) -> Callable[..., str]:
    def make(*scopes: Scope, name: str = "a key") -> str:
        with transaction(engine) as session:
            return accounts.add_key(session, name, scopes)[1]

    return make


@pytest.fixture
def admin_key(make_key: Callable[..., str]) -> str:
    return make_key(*Scope, name="admin")


@pytest.fixture
def editor_key(make_key: Callable[..., str]) -> str:
    return make_key(Scope.STORIES_WRITE, Scope.ALERTS_WRITE, name="editor")


@pytest.fixture
def ingester_key(make_key: Callable[..., str]) -> str:
    return make_key(Scope.STORIES_WRITE, name="ingester")


@pytest.fixture
def as_admin(admin_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {admin_key}"}


@pytest.fixture
def as_editor(editor_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {editor_key}"}


@pytest.fixture
def as_ingester(ingester_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {ingester_key}"}


@pytest.fixture
def editor(engine: Engine) -> Staff:
    with transaction(engine) as session:
        return accounts.add_staff(session, "editor@news.example", PASSWORD, Role.EDITOR)


@pytest.fixture
def providers(configured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers with keys made for the tests, as the environment would name them."""
    for name, value in configured.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NEWSZOP_PROVIDERS", "apns,fcm,webpush")


@pytest.fixture
def make_reader(client: SiteClient) -> Callable[..., dict[str, str]]:
    """Register a reader; returns the headers that its calls carry."""

    def make(**said: object) -> dict[str, str]:
        answer = client.post("/api/readers", json=said)
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    return make


@pytest.fixture
def as_reader(make_reader: Callable[..., dict[str, str]]) -> dict[str, str]:
    return make_reader()


@pytest.fixture
def counts(engine: Engine, request: pytest.FixtureRequest) -> Callable[[], dict[str, int]]:
    """Return what counts the rows of the tables that the test's module names in `COUNTED`."""

    def count() -> dict[str, int]:
        with engine.connect() as connection:
            return {
                table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in request.module.COUNTED
            }

    return count
