"""Guessing is limited by account and by address, and nobody else is locked out by it."""

from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import Engine

from service.domain.people import Role
from service.http.admission import Admission
from service.http.limits.fair_limiter import FairLimiter, overloaded
from service.store.session import transaction
from service.store.staff import accounts
from service.web.newsroom.sign_in_limits import FAILURES_PER_MINUTE, TRIES_PER_MINUTE
from tests.site_client import SiteClient
from tests.web.browsing import PASSWORD
from tests.web.conftest import Visitor

ANN = "ann@news.example"


@pytest.fixture
def ann(engine: Engine) -> str:
    with transaction(engine) as session:
        accounts.add_staff(session, ANN, PASSWORD, Role.EDITOR)
    return ANN


def sign_in(app: Any, address: str, email: str, password: str) -> int:
    client = SiteClient(app, client=(address, 1), follow_redirects=False)
    return client.post("/login", data={"email": email, "password": password}).status_code


def test_an_address_that_guesses_is_refused_and_others_are_not(app: Any, ann: str) -> None:
    guesses = [
        sign_in(app, "203.0.113.1", f"nobody-{n}@news.example", "wrong")
        for n in range(FAILURES_PER_MINUTE)
    ]
    assert set(guesses) == {401}
    assert sign_in(app, "203.0.113.1", ann, PASSWORD) == 429
    assert sign_in(app, "203.0.113.2", ann, PASSWORD) == 303


def test_an_unnamed_proxy_on_this_machine_makes_no_wall_for_all(app: Any, ann: str) -> None:
    for n in range(FAILURES_PER_MINUTE + 2):
        assert sign_in(app, "127.0.0.1", f"nobody-{n}@news.example", "wrong") == 401
    assert sign_in(app, "127.0.0.1", ann, PASSWORD) == 303


@pytest.mark.parametrize(
    "settings", [{"trusted_proxies": (ip_network("127.0.0.0/8"),)}], indirect=True
)
def test_who_confuses_the_named_proxy_on_this_machine_guesses_no_longer(app: Any, ann: str) -> None:
    two_callers = {"X-Forwarded-For": "203.0.113.1", "Forwarded": "for=203.0.113.2"}
    with SiteClient(app, client=("127.0.0.1", 1), headers=two_callers) as stranger:
        answers = []
        for n in range(FAILURES_PER_MINUTE + 1):
            fields = {"email": f"nobody-{n}@news.example", "password": "wrong"}
            answers.append(stranger.post("/login", data=fields).status_code)
    assert answers == [401] * FAILURES_PER_MINUTE + [429]


def test_an_unnamed_proxy_at_the_ipv6_loopback_makes_no_wall_either(app: Any, ann: str) -> None:
    for n in range(FAILURES_PER_MINUTE + 2):
        assert sign_in(app, "::1", f"nobody-{n}@news.example", "wrong") == 401
    assert sign_in(app, "::1", ann, PASSWORD) == 303


def test_many_right_passwords_from_one_address_are_no_attack(app: Any, ann: str) -> None:
    answers = [sign_in(app, "203.0.113.1", ann, PASSWORD) for _ in range(TRIES_PER_MINUTE)]
    assert set(answers) == {303}
    assert sign_in(app, "203.0.113.1", "nobody@news.example", "wrong") == 401


def test_many_addresses_that_guess_at_one_account_lock_no_known_browser_out(
    app: Any, ann: str
) -> None:
    browser = Visitor(app)
    assert browser.sign_in(ann).status_code == 303
    guesses = [sign_in(app, f"203.0.113.{n}", ann, "wrong") for n in range(FAILURES_PER_MINUTE + 1)]
    assert guesses == [401] * FAILURES_PER_MINUTE + [429]
    assert sign_in(app, "198.51.100.1", ann, PASSWORD) == 429
    assert browser.sign_in(ann).status_code == 303


class NoStrangers(Admission):
    """Admission whose sign-ins of strangers have all come at once."""

    def _limits_of(self, path: str, *, is_anonymous: bool) -> list[FairLimiter]:
        if is_anonymous:
            raise overloaded()
        return super()._limits_of(path, is_anonymous=is_anonymous)


def test_strangers_who_take_every_sign_in_of_theirs_keep_no_known_browser_out(
    app: Any, ann: str
) -> None:
    browser, stranger = Visitor(app), Visitor(app)
    browser.sign_in(ann)
    stranger.cookies.set("newszop_browser", "forged", path="/login")
    stranger.cookies.set("newszop_staff", "forged")
    app.state.admission = NoStrangers(4)
    assert browser.sign_in(ann).status_code == 303
    assert stranger.sign_in(ann).status_code == 503


def test_a_known_browser_guesses_no_faster(app: Any, ann: str) -> None:
    browser = Visitor(app)
    browser.sign_in(ann)
    answers = [browser.sign_in(ann, "wrong").status_code for _ in range(TRIES_PER_MINUTE + 1)]
    assert answers == [401] * TRIES_PER_MINUTE + [429]


def test_the_mark_of_a_browser_is_worth_nothing_for_another_account_or_when_forged(
    app: Any, ann: str
) -> None:
    browser = Visitor(app)
    browser.sign_in(ann)
    mark = browser.cookies["newszop_browser"]
    stranger = Visitor(app)
    stranger.cookies.set("newszop_browser", "forged" + mark, path="/login")
    for n in range(FAILURES_PER_MINUTE):
        stranger.sign_in(f"nobody-{n}@news.example", "wrong")
    assert stranger.sign_in(ann).status_code == 429
