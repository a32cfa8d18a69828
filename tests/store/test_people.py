from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.errors import Conflict, Invalid, NotFound
from service.domain.people import Role, Scope
from service.store.staff import accounts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "a long enough password"
HOUR = timedelta(hours=1)


@pytest.fixture
def editor(session):
    return accounts.add_staff(session, " Ada@News.Example ", PASSWORD, Role.EDITOR)


def test_only_the_right_password_signs_in(session, editor):
    assert accounts.authenticate(session, "ADA@news.example", PASSWORD, NOW) == editor
    for email, password in (
        ("ada@news.example", "a wrong password"),
        ("ada@news.example", ""),
        ("ada@news.example", "x" * 100_000),
        ("bob@news.example", PASSWORD),
        ("", PASSWORD),
        ("ada@news.example\x00", PASSWORD[::-1]),
    ):
        assert accounts.authenticate(session, email.replace("\0", ""), password, NOW) is None


def test_a_password_is_kept_as_argon2_only(session, editor):
    kept = session.execute(text("SELECT password_hash FROM staff")).scalar_one()
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


def test_an_address_is_taken_once_whatever_its_case(session, editor):
    with pytest.raises(Conflict):
        accounts.add_staff(session, "ADA@NEWS.EXAMPLE", PASSWORD, Role.ADMIN)


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("no address", PASSWORD, "email"),
        ("@x", PASSWORD, "email"),
        ("a@", PASSWORD, "email"),
        ("a@b\x00", PASSWORD, "email"),
        ("a@b.example", "short", "password"),
        ("a@b.example", "x" * 1025, "password"),
    ],
)
def test_unfit_staff_are_refused_by_field(session, email, password, field):
    with pytest.raises(Invalid) as refused:
        accounts.add_staff(session, email, password, Role.EDITOR)
    assert refused.value.field == field


def test_a_session_lasts_as_long_as_it_was_given(session, editor):
    token = accounts.open_session(session, editor.id, NOW, HOUR)
    assert accounts.staff_of_session(session, token, NOW + HOUR / 2) == editor
    assert accounts.staff_of_session(session, token, NOW + HOUR) is None
    assert accounts.staff_of_session(session, token + "x", NOW) is None


def test_signing_out_ends_one_session_and_a_new_password_all(session, editor):
    one, other = (accounts.open_session(session, editor.id, NOW, HOUR) for _ in range(2))
    accounts.close_session(session, one)
    assert accounts.staff_of_session(session, one, NOW) is None
    assert accounts.staff_of_session(session, other, NOW) == editor
    accounts.set_password(session, editor.id, "another long password")
    assert accounts.staff_of_session(session, other, NOW) is None


def test_disabled_staff_are_out_at_once_and_can_come_back(session, editor):
    token = accounts.open_session(session, editor.id, NOW, HOUR)
    accounts.disable(session, editor.id, NOW)
    session.flush()
    assert accounts.staff_of_session(session, token, NOW) is None
    assert accounts.authenticate(session, editor.email, PASSWORD, NOW) is None
    accounts.enable(session, editor.id)
    session.flush()
    assert accounts.authenticate(session, editor.email, PASSWORD, NOW) == editor


def test_a_token_is_not_kept(session, editor):
    token = accounts.open_session(session, editor.id, NOW, HOUR)
    kept = session.execute(text("SELECT token_hash FROM staff_session")).scalar_one()
    assert token.encode() not in bytes(kept)


def test_a_key_has_its_scopes_until_it_is_revoked(session):
    key, secret = accounts.add_key(session, "wire", [Scope.STORIES_WRITE, Scope.STORIES_WRITE])
    assert accounts.key_of(session, secret) == key
    assert key.scopes == {Scope.STORIES_WRITE}
    assert accounts.key_of(session, secret[:-1]) is None
    revoked = accounts.revoke_key(session, key.id, NOW)
    assert revoked.revoked_at == NOW
    assert accounts.key_of(session, secret) is None
    assert [one.id for one in accounts.list_keys(session)] == [key.id]


@pytest.mark.parametrize(("name", "scopes"), [("", [Scope.ADMIN]), ("x", [])])
def test_a_key_needs_a_name_and_a_scope(session, name, scopes):
    with pytest.raises(Invalid):
        accounts.add_key(session, name, scopes)


def test_an_unknown_key_cannot_be_revoked(session):
    with pytest.raises(NotFound):
        accounts.revoke_key(session, 1, NOW)


def test_a_busy_key_is_written_at_most_once_a_minute(session):
    key, secret = accounts.add_key(session, "wire", [Scope.ADMIN])
    for seconds in (0, 10, 59):
        accounts.touch_key(
            session, accounts.key_of(session, secret), NOW + timedelta(seconds=seconds)
        )
        session.expire_all()
    assert accounts.find_key(session, key.id).last_used_at == NOW
    accounts.touch_key(session, accounts.find_key(session, key.id), NOW + timedelta(seconds=61))
    session.expire_all()
    assert accounts.find_key(session, key.id).last_used_at == NOW + timedelta(seconds=61)
