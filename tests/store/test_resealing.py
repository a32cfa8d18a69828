"""What an earlier secret key sealed is sealed again by the present one, before that one goes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.actions.apps.app_administration import reseal_apps
from service.actions.sources import reseal_sources
from service.domain.errors import Conflict
from service.domain.people import Caller, Scope
from service.outbox import Outbox
from service.sealing import SealKeys, seal, unseal
from service.store.operations import apps
from service.store.operations.apps import App, login_owner, open_credentials, seal_credentials
from service.store.stories import feeds, sources
from service.store.stories.sources import Source
from service.unit_of_work import UnitOfWork

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ADMIN = Caller(name="admin", label="admin", scopes=frozenset(Scope))
OLD = SealKeys("the secret key of last year")
BOTH = SealKeys("the secret key of this year", ("the secret key of last year",))
NEW = SealKeys("the secret key of this year")
CREDENTIALS = {"key": "a signing key"}


class Nobody:
    """A broker that nothing is sent through."""

    def send(self, message):
        raise AssertionError(message)


@pytest.fixture
def work(session):
    return UnitOfWork(session, Outbox(Nobody()), NOW)


@pytest.fixture
def sealed(session):
    """An app with a login key, a webhook in rotation, and a feed whose hub signs."""
    login_key = seal(OLD, "what logins are signed with", login_owner("sport"))
    credentials = seal_credentials(OLD, "sport", CREDENTIALS)
    app = App(name="sport", provider="apns", credentials=credentials, login_key=login_key)
    apps.add(session, app)
    hook = Source(
        id=1,
        kind="ghost",
        name="blog",
        signature="ghost",
        secret=seal(OLD, "new one", "1"),
        old_secret=seal(OLD, "old one", "1"),
        old_secret_until=NOW + timedelta(hours=1),
    )
    feed = Source(id=2, kind="feed", name="wire", signature="none")
    for source in (hook, feed, Source(id=3, kind="feed", name="open", signature="none")):
        sources.add(session, source)
    feeds.add(session, 2, "https://wire.example/feed", "wire.example")
    feeds.save_subscription(session, 2, hub_secret=seal(OLD, "of the hub", "2"))


def test_after_it_the_earlier_key_is_needed_by_nothing(work, sealed):
    assert reseal_apps(work, BOTH, ADMIN) == ["sport"]
    assert reseal_sources(work, BOTH, ADMIN) == ["blog", "wire"]
    app, hook = apps.get(work.session, "sport"), sources.get(work.session, 1)
    assert open_credentials(NEW, app) == CREDENTIALS
    assert apps.open_login_key(NEW, app) == "what logins are signed with"
    assert [unseal(NEW, each, "1") for each in (hook.secret, hook.old_secret)] == [
        b"new one",
        b"old one",
    ]
    assert unseal(NEW, feeds.get(work.session, 2).hub_secret, "2") == b"of the hub"
    assert reseal_apps(work, BOTH, ADMIN) == reseal_sources(work, BOTH, ADMIN) == []


def test_an_old_secret_whose_time_is_over_goes(work, sealed):
    hook = sources.get(work.session, 1)
    sources.save(work.session, replace(hook, old_secret=b"nobody opens it", old_secret_until=NOW))
    reseal_sources(work, BOTH, ADMIN)
    assert sources.get(work.session, 1).old_secret is None


@pytest.mark.parametrize("reseal", [reseal_apps, reseal_sources])
def test_what_no_key_opens_is_named_and_stays(work, sealed, reseal):
    with pytest.raises(Conflict, match=r"No key of ours opens the .* of (sport|blog)"):
        reseal(work, NEW, ADMIN)
    hook = sources.get(work.session, 1)
    assert unseal(OLD, hook.secret, "1") == b"new one"
