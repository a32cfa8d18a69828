"""Signing in and out, who may see what, and forms that are not ours."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from service.app import create_app
from service.domain.people import Role
from service.settings import Settings
from service.store.session import transaction
from service.store.staff import accounts
from service.web.newsroom import login
from tests.web.browsing import PASSWORD
from tests.web.conftest import Visitor

STAFF_PAGES = ("/desk", "/desk/stories/new", "/desk/alerts", "/control", "/control/people")
ACTIONS = (
    "/logout",
    "/desk/stories/new",
    "/control/providers/apns/hold",
    "/control/people",
    "/control/keys",
    "/control/dead-letters/replay",
)


def cookie_of(answer: httpx.Response, name: str) -> str:
    return next(c for c in answer.headers.get_list("set-cookie") if c.startswith(name))


@pytest.fixture
def known(engine: Engine) -> str:
    with transaction(engine) as session:
        accounts.add_staff(session, "ada@news.example", PASSWORD, Role.EDITOR)
    return "ada@news.example"


def test_signing_in_opens_a_session_that_scripts_and_other_sites_cannot_use(
    visitor: Visitor, known: str
) -> None:
    answer = visitor.sign_in(known)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/desk"
    cookie = cookie_of(answer, "newszop_staff").lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert visitor.get("/desk").status_code == 200


@pytest.mark.parametrize("settings", [{"public_url": "https://news.example"}], indirect=True)
def test_behind_https_the_session_travels_over_tls_alone(visitor: Visitor, known: str) -> None:
    assert "secure" in cookie_of(visitor.sign_in(known), "newszop_staff").lower()


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    visitor: Visitor, known: str
) -> None:
    wrong = visitor.sign_in(known, "wrong")
    unknown = visitor.sign_in("nobody@news.example", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(known, "") == unknown.text.replace("nobody@news.example", "")
    assert "set-cookie" not in wrong.headers


def test_a_disabled_person_is_signed_out_and_stays_out(
    visitor: Visitor, known: str, engine: Engine
) -> None:
    visitor.sign_in(known)
    with transaction(engine) as session:
        staff = accounts.find_staff(session, known)
        assert staff
        accounts.disable(session, staff.id, datetime.now(UTC))
    assert visitor.get("/desk").status_code == 303
    assert visitor.sign_in(known).status_code == 401


def test_guessing_is_slowed_down(visitor: Visitor, known: str) -> None:
    answers = [visitor.sign_in(known, f"guess {n}").status_code for n in range(12)]
    assert answers[0] == 401
    assert answers[-1] == 429
    refused = visitor.sign_in(known)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "desk"],
)
def test_the_login_never_redirects_to_another_site(
    visitor: Visitor, known: str, target: str
) -> None:
    answer = visitor.post("/login", data={"email": known, "password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/desk"


def test_the_login_leads_back_to_the_requested_page(visitor: Visitor, known: str) -> None:
    asked = visitor.get("/desk/alerts?cursor=x")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2Fdesk%2Falerts%3Fcursor%3Dx"
    answer = visitor.post(
        "/login", data={"email": known, "password": PASSWORD, "next": "/desk/alerts"}
    )
    assert answer.headers["location"] == "/desk/alerts"


@pytest.mark.parametrize("path", STAFF_PAGES)
def test_a_reader_is_sent_to_the_login(visitor: Visitor, path: str) -> None:
    visitor.post("/me/follow", data={"topic": "world"})
    answer = visitor.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("path", ["/control", "/control/people", "/control/audit", "/control/live"])
def test_an_editor_cannot_open_the_control_room(editor: Visitor, path: str) -> None:
    answer = editor.get(path)
    assert answer.status_code == 403
    assert "for admins" in answer.text
    assert 'href="/desk">To the desk' in answer.text
    assert editor.submit("/control/keys", name="mine", scope="admin").status_code == 403


def test_signing_out_ends_the_session_on_the_server_too(editor: Visitor) -> None:
    stolen = editor.cookies["newszop_staff"]
    assert editor.submit("/logout").status_code == 303
    editor.cookies.set("newszop_staff", stolen)
    assert editor.get("/desk").status_code == 303


def test_signing_in_again_ends_the_session_that_the_browser_had(
    visitor: Visitor, known: str
) -> None:
    visitor.sign_in(known)
    earlier = visitor.cookies["newszop_staff"]
    visitor.sign_in(known)
    assert visitor.get("/desk").status_code == 200
    visitor.cookies.clear()
    visitor.cookies.set("newszop_staff", earlier)
    assert visitor.get("/desk").status_code == 303


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_a_form_without_the_sessions_token_is_refused(
    admin: Visitor, path: str, token: str | None
) -> None:
    fields = {"headline": "Forged", "body": "Forged", "name": "forged", "scope": "admin"}
    answer = admin.post(path, data=fields | ({} if token is None else {"csrf": token}))
    assert answer.status_code == 403
    assert admin.get("/desk").status_code == 200


def test_a_token_of_another_session_is_refused(
    make_staff: Callable[[str, Role], Visitor],
) -> None:
    ann, bob = make_staff("ann", Role.EDITOR), make_staff("bob", Role.EDITOR)
    answer = bob.post("/logout", data={"csrf": ann.token()})
    assert answer.status_code == 403


def test_another_site_cannot_sign_anybody_in(visitor: Visitor, known: str) -> None:
    answer = visitor.post(
        "/login",
        data={"email": known, "password": PASSWORD},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("settings", [{"demo": True}, {"demo": False}], indirect=True)
def test_only_the_demo_shows_its_logins(visitor: Visitor, app: Any, tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    file.write_text('{"editor": {"email": "e@demo", "password": "shown-pass", "key": "nzp_x"}}')
    settings = app.state.settings
    app.state.settings = settings.model_copy(update={"demo_file": file})
    page = visitor.get("/login").text
    assert ("shown-pass" in page) is settings.demo
    assert "nzp_x" not in page
    filled = visitor.get("/login?demo=editor").text
    assert ('value="e@demo"' in filled) is settings.demo
    assert ('value="shown-pass"' in filled) is settings.demo


def test_a_closed_session_cannot_watch_events(editor: Visitor, ingest: Any) -> None:
    editor.submit("/logout")
    assert editor.get("/api/alerts").status_code == 401


def test_a_script_without_a_session_gets_401_and_no_login_page(visitor: Visitor) -> None:
    for headers in ({"X-CSRF-Token": "old"}, {"Sec-Fetch-Dest": "empty"}):
        answer = visitor.post("/desk/stories/new/autosave", data={"headline": "A"}, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["detail"] == "You are signed out. Sign in again."
    asked = visitor.get("/login/session", headers={"Accept": "application/json"})
    assert asked.status_code == 401


def test_a_page_signs_in_by_script_and_gets_the_new_sessions_token(
    visitor: Visitor, known: str
) -> None:
    fields = {"email": known, "password": "wrong"}
    script = {"Accept": "application/json"}
    refusal = visitor.post("/login", data=fields, headers=script)
    assert (refusal.status_code, refusal.json()["detail"]) == (401, login.REFUSED)
    answer = visitor.post("/login", data=fields | {"password": PASSWORD}, headers=script)
    assert answer.json() == visitor.get("/login/session", headers=script).json()
    assert answer.json()["csrf"] == visitor.token()


OUR_PAGE = {"Origin": "http://news.example", "Sec-Fetch-Site": "same-origin"}


def test_a_form_sent_after_the_session_ended_survives_the_login(
    visitor: Visitor, known: str
) -> None:
    story = {"headline": 'Half "written"', "body": "<p>All of it</p>", "do": "draft", "csrf": "old"}
    page = visitor.post("/desk/stories/new", data=story, headers=OUR_PAGE)
    assert page.status_code == 401
    assert "Nothing is lost" in page.text
    held = re.search(r'name="held" value="([^"]*)"', page.text)
    assert held
    credentials = {"email": known, "password": PASSWORD}
    page = visitor.post("/login", data=credentials | {"held": html.unescape(held[1])})
    assert "Half &#34;written&#34;" in page.text
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
    again = {name: html.unescape(value) for name, value in fields if value}
    answer = visitor.post("/desk/stories/new", data=again, headers=OUR_PAGE)
    assert answer.status_code == 303
    assert "All of it" in visitor.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_site_is_not_held(visitor: Visitor, headers: dict[str, str]) -> None:
    answer = visitor.post("/desk/stories/new", data={"headline": "Forged"}, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login"


@pytest.mark.parametrize(
    ("earlier", "status"), [(("a secret that only tests know",), 303), ((), 403)]
)
def test_a_form_that_was_open_while_our_secret_changed_is_taken_while_the_old_one_is_named(
    editor: Visitor,
    settings: Settings,
    earlier: tuple[str, ...],
    status: int,
) -> None:
    token = editor.token()
    keys = {"secret_key": "the secret of this month", "earlier_secret_keys": earlier}
    restarted = Visitor(create_app(settings.model_copy(update=keys)))
    restarted.cookies.set("newszop_staff", editor.cookies["newszop_staff"])
    assert restarted.token() != token
    assert restarted.post("/logout", data={"csrf": token}).status_code == status


def test_a_refused_sign_in_is_logged_without_the_address(visitor: Visitor, known: str) -> None:
    with capture_logs() as lines:
        visitor.sign_in(known, "a wrong password")
    [line] = [line for line in lines if line["event"] == "sign-in refused"]
    assert line["address"] == "203.0.113.7"
    assert line["account"]
    assert known not in str(line)
