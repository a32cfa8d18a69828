from dataclasses import replace
from datetime import UTC, datetime

from service.store.operations import apps
from service.store.operations.apps import App

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
SPORT = App(name="sport-web", provider="webpush", origins=("https://sport.example",))


def test_an_app_is_kept_and_its_name_is_taken(session):
    assert apps.add(session, SPORT)
    assert not apps.add(session, SPORT)
    assert apps.every_app(session) == {"sport-web": SPORT}
    assert [app.origins for app in apps.web_apps(session)] == [("https://sport.example",)]


def test_every_change_of_an_app_changes_the_revision(session):
    revisions = [apps.revision(session)]
    for change in (apps.add, apps.save):
        change(session, SPORT)
        revisions.append(apps.revision(session))
    apps.save(session, replace(SPORT, disabled_at=NOON))
    revisions.append(apps.revision(session))
    assert revisions == [0, 1, 2, 3]


def test_a_disabled_web_app_is_not_in_use(session):
    apps.add(session, SPORT)
    apps.save(session, replace(SPORT, disabled_at=NOON))
    assert apps.web_apps(session) == []
    locked = apps.lock(session, "sport-web")
    assert locked is not None
    assert locked.disabled_at is not None
