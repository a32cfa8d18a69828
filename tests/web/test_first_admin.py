"""The first admin: a link out of the log, used once, for a day, while there is no admin."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlmodel import Session

from service.commands import database, store_access
from service.domain.people import Role
from service.settings import Settings
from service.store.session import transaction
from service.store.staff import accounts, first_admin
from service.web.newsroom import first_admin as first_admin_page
from tests.site_client import SiteClient
from tests.web.conftest import Visitor

EMAIL = "ada@news.example"
PASSWORD = {"password": "a long password", "again": "a long password"}


@pytest.fixture
def link(engine: Engine) -> str:
    with transaction(engine) as session:
        token = first_admin.open_link(session, EMAIL, datetime.now(UTC))
    return f"/first-admin/{token}"


def test_the_link_sets_a_password_once_and_its_admin_signs_in(visitor: Visitor, link: str) -> None:
    page = visitor.get(link)
    assert page.status_code == 200
    assert EMAIL in page.text
    assert "no-store" in page.headers["cache-control"]
    # with `no-referrer` browsers send the form with `Origin: null`, which is another site
    assert 'name="referrer" content="same-origin"' in page.text
    answer = visitor.post(link, data=PASSWORD)
    assert answer.headers["location"] == "/login"
    assert "Your password is set." in visitor.get("/login").text
    assert visitor.sign_in(EMAIL, PASSWORD["password"]).status_code == 303
    assert visitor.get("/control").status_code == 200
    for again in (visitor.get(link), visitor.post(link, data=PASSWORD)):
        assert again.status_code == 404
        assert "newszop migrate" in again.text


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        (PASSWORD | {"again": "another password"}, "The two passwords differ."),
        ({"password": "short", "again": "short"}, "8 to 1024 characters"),
    ],
)
def test_a_form_that_is_refused_leaves_the_link_as_it_was(
    visitor: Visitor, link: str, form: dict[str, str], fault: str
) -> None:
    answer = visitor.post(link, data=form)
    assert answer.status_code == 422
    assert fault in answer.text
    assert visitor.post(link, data=PASSWORD).status_code == 303


def test_another_site_cannot_send_the_form(visitor: Visitor, link: str) -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert visitor.post(link, data=PASSWORD, headers=headers).status_code == 403
    assert visitor.get(link).status_code == 200


def test_a_link_ends_after_a_day_with_a_new_one_and_with_any_admin(
    visitor: Visitor, engine: Engine, link: str
) -> None:
    with transaction(engine) as session:
        late = datetime.now(UTC) + first_admin.LIFETIME + timedelta(seconds=1)
        with pytest.raises(first_admin.NotFound):
            first_admin.email_of(session, link.rpartition("/")[2], late)
        newer = first_admin.open_link(session, EMAIL, datetime.now(UTC))
    assert visitor.get(link).status_code == 404
    assert visitor.get(f"/first-admin/{newer}").status_code == 200
    with transaction(engine) as session:
        accounts.add_staff(session, "eve@news.example", PASSWORD["password"], Role.ADMIN)
        assert first_admin.open_link(session, EMAIL, datetime.now(UTC)) is None
    assert visitor.get(f"/first-admin/{newer}").status_code == 404


def test_tries_are_limited(visitor: Visitor) -> None:
    answers = [visitor.get(f"/first-admin/{n}").status_code for n in range(20)]
    assert answers[0] == 404
    assert answers[-1] == 429


def test_tries_from_one_ipv6_network_are_counted_together(app: FastAPI) -> None:
    answers = []
    for n in range(first_admin_page.TRIES_PER_MINUTE + 1):
        with SiteClient(app, client=(f"2001:db8::{n}", 1)) as stranger:
            answers.append(stranger.get(f"/first-admin/{n}").status_code)
    assert answers == [404] * first_admin_page.TRIES_PER_MINUTE + [429]


def test_migrate_writes_the_link_and_keeps_its_hash_alone(
    settings: Settings,
    app: FastAPI,
    session: Session,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = settings.model_copy(update={"admin_email": EMAIL})
    for module in (database, store_access):
        monkeypatch.setattr(module, "read_settings", lambda: mine)
    database.migrate()
    [address] = [word for word in capsys.readouterr().out.split() if "/first-admin/" in word]
    token = address.rpartition("/")[2]
    kept = session.execute(text("SELECT * FROM first_admin_link")).one()
    assert token.encode() not in kept.token_hash
    assert Visitor(app).get(f"/first-admin/{token}").status_code == 200
