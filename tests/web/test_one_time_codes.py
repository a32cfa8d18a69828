"""One-time codes: turned on with the password, accepted once, counted, and turned off again."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from sqlalchemy import Engine
from sqlmodel import Session

from service.domain import one_time_code
from service.domain.people import Role
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.staff import accounts, second_factor
from service.web.newsroom import sign_in_limits
from tests.site_client import SiteClient
from tests.web.browsing import PASSWORD
from tests.web.conftest import Visitor


def staff_id(engine: Engine, email: str) -> int:
    with transaction(engine) as session:
        person = accounts.find_staff(session, email)
    assert person
    return person.id


@pytest.fixture
def ann(engine: Engine, app: Any) -> Visitor:
    with transaction(engine) as session:
        accounts.add_staff(session, "ann@news.example", PASSWORD, Role.EDITOR)
    visitor = Visitor(app)
    assert visitor.sign_in("ann@news.example").status_code == 303
    return visitor


def turn_codes_on(ann: Visitor) -> str:
    page = ann.get("/desk/account").text
    secret = re.search(r'mono secret">([A-Z2-7]+)<', page)
    signed = re.search(r'name="signed" value="([^"]+)"', page)
    assert secret
    assert signed
    code = one_time_code.code_at(secret[1], datetime.now(UTC))
    fields = {"signed": signed[1], "code": code}
    assert ann.submit("/desk/account/code", **fields).status_code == 422
    assert ann.submit("/desk/account/code", present="wrong", **fields).status_code == 422
    assert ann.submit("/desk/account/code", present=PASSWORD, **fields).status_code == 303
    return secret[1]


def ask_for_code(browser: Visitor) -> str:
    """Give the password; return the ticket with which the code is sent."""
    ticket = re.search(r'name="ticket" value="([^"]+)"', browser.sign_in("ann@news.example").text)
    assert ticket
    return ticket[1]


def next_code(secret: str) -> str:
    """Return the code of the next half minute, which is accepted too."""
    return one_time_code.code_at(secret, datetime.now(UTC) + one_time_code.STEP)


def test_with_codes_on_the_password_alone_opens_nothing(ann: Visitor, app: Any) -> None:
    secret = turn_codes_on(ann)
    again = Visitor(app)
    asked = again.sign_in("ann@news.example")
    assert asked.status_code == 200
    assert "newszop_staff" not in again.cookies
    ticket = re.search(r'name="ticket" value="([^"]+)"', asked.text)
    assert ticket
    wrong = again.post("/login/code", data={"ticket": ticket[1], "code": "000000"})
    assert wrong.status_code == 401
    code = next_code(secret)
    assert again.post("/login/code", data={"ticket": ticket[1], "code": code}).status_code == 303
    assert again.get("/desk").status_code == 200
    shoulder = Visitor(app).post("/login/code", data={"ticket": ticket[1], "code": code})
    assert shoulder.status_code == 401
    forged = Visitor(app).post("/login/code", data={"ticket": "1.x.y", "code": code})
    assert forged.status_code == 401


def test_a_code_is_accepted_once_and_no_older_one_after_it(
    ann: Visitor, app: Any, redis_url: str
) -> None:
    secret = turn_codes_on(ann)
    ticket = ask_for_code(Visitor(app))
    now = datetime.now(UTC)
    of_turning_on, newest = one_time_code.code_at(secret, now), next_code(secret)

    def enter(code: str) -> int:
        return Visitor(app).post("/login/code", data={"ticket": ticket, "code": code}).status_code

    assert enter(of_turning_on) == 401
    assert enter(newest) == 303
    redis.Redis.from_url(redis_url).flushdb()
    assert enter(newest) == 401
    assert enter(one_time_code.code_at(secret, now)) == 401


def test_a_ticket_ends_when_the_password_is_set_again(
    ann: Visitor, app: Any, engine: Engine
) -> None:
    secret = turn_codes_on(ann)
    ticket = ask_for_code(Visitor(app))
    with transaction(engine) as session:
        accounts.set_password(session, staff_id(engine, "ann@news.example"), PASSWORD)
    answer = Visitor(app).post("/login/code", data={"ticket": ticket, "code": next_code(secret)})
    assert answer.status_code == 401


def test_a_ticket_ends_when_the_codes_change_or_the_account_is_disabled(
    ann: Visitor, app: Any, engine: Engine
) -> None:
    secret, ann_id = turn_codes_on(ann), staff_id(engine, "ann@news.example")
    ticket = ask_for_code(Visitor(app))

    def enter(code: str) -> int:
        return Visitor(app).post("/login/code", data={"ticket": ticket, "code": code}).status_code

    with transaction(engine) as session:
        accounts.disable(session, ann_id, datetime.now(UTC))
    assert enter(next_code(secret)) == 401
    new_secret = one_time_code.encode_secret(b"another secret of twenty bytes")
    with transaction(engine) as session:
        accounts.enable(session, ann_id)
        second_factor.keep(session, ann_id, new_secret)
    assert enter(next_code(new_secret)) == 401


def test_of_two_who_use_one_code_at_once_one_gets_in(ann: Visitor, engine: Engine) -> None:
    code, ann_id = next_code(turn_codes_on(ann)), staff_id(engine, "ann@news.example")
    now = datetime.now(UTC)
    with Session(engine) as first, Session(engine) as second:
        read_before = [session.get(StaffRow, ann_id) for session in (first, second)]
        accepted = second_factor.use_code(first, ann_id, code, now)
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(second_factor.use_code, second, ann_id, code, now)
            first.commit()
            refused = waiting.result(5)
        second.commit()
    assert all(read_before)
    assert accepted is second_factor.CodeUse.ACCEPTED
    assert refused is second_factor.CodeUse.REFUSED


def test_wrong_codes_are_counted_by_account_and_end_with_a_new_password(
    ann: Visitor, app: Any, engine: Engine
) -> None:
    secret = turn_codes_on(ann)
    ticket = ask_for_code(Visitor(app))
    answers = []
    for host in range(sign_in_limits.CODES_PER_MINUTE + 1):
        with SiteClient(app, client=(f"203.0.113.{host}", 1), follow_redirects=False) as guesser:
            fields = {"ticket": ticket, "code": "000000"}
            answers.append(guesser.post("/login/code", data=fields).status_code)
    assert answers == [401] * sign_in_limits.CODES_PER_MINUTE + [429]

    ann_id = staff_id(engine, "ann@news.example")
    now = datetime.now(UTC)
    with transaction(engine) as session:
        for _ in range(second_factor.MOST_FAILURES):
            second_factor.use_code(session, ann_id, "000000", now)
        code = next_code(secret)
        blocked = second_factor.use_code(session, ann_id, code, now)
        accounts.set_password(session, ann_id, PASSWORD)
        accepted = second_factor.use_code(session, ann_id, code, now)
    assert blocked is second_factor.CodeUse.BLOCKED
    assert accepted is second_factor.CodeUse.ACCEPTED


def test_codes_can_be_turned_off_by_their_owner_or_by_an_admin(
    ann: Visitor, admin: Visitor, app: Any, engine: Engine
) -> None:
    turn_codes_on(ann)
    assert ann.submit("/desk/account/no-code", present="wrong").status_code == 422
    assert ann.submit("/desk/account/no-code", present=PASSWORD).status_code == 303
    turn_codes_on(ann)
    admin.submit(f"/control/people/{staff_id(engine, 'ann@news.example')}/no-code")
    assert ann.get("/desk").status_code == 303
    assert Visitor(app).sign_in("ann@news.example").status_code == 303


def test_a_new_password_ends_every_session(ann: Visitor, app: Any) -> None:
    fields = {"present": PASSWORD, "password": "quite another one"}
    wrong = ann.submit("/desk/account/password", **(fields | {"present": "wrong"}))
    assert wrong.status_code == 422
    assert ann.submit("/desk/account/password", **fields).status_code == 303
    assert ann.get("/desk").status_code == 303
    assert Visitor(app).sign_in("ann@news.example", "quite another one").status_code == 303


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    secret = one_time_code.encode_secret(b"12345678901234567890")
    at = datetime.fromtimestamp(moment, UTC)
    assert one_time_code.code_at(secret, at) == code
    assert one_time_code.step_of(secret, code, at) == moment // 30
    assert one_time_code.step_of(secret, "123456", at) is None
