"""Control's pages of apps: what a browser shows of them, and what never comes back."""

import re
from html import unescape

import pytest
from sqlalchemy import Engine, text

from service import provider_door
from service.web import kit
from service.web.admin import app_forms
from tests.credentials import a_p256_key, pem
from tests.web.conftest import SITE, Visitor

OPTIONS = {
    "options.key_id": "ABCDE12345",
    "options.team_id": "TEAM123456",
    "options.topic": "org.example.sport",
}
APNS = "/control/apps/new/apns"


def key_text() -> str:
    return pem(a_p256_key()).decode()


@pytest.fixture
def sport(admin: Visitor) -> str:
    """Return the key of an app that was added on the page."""
    key = key_text()
    answer = admin.submit(APNS, name="sport-ios", **OPTIONS | {"credentials.key": key})
    assert answer.headers.get("location") == "/control/apps/sport-ios", answer.text
    return key


@pytest.fixture
def web(admin: Visitor) -> str:
    fields = {"credentials.vapid_keys": key_text(), "options.subject": "mailto:push@news.example"}
    sites = {"origins": "https://www.news.example\nhttps://m.news.example"}
    answer = admin.submit("/control/apps/new/webpush", name="site", **fields | sites)
    assert answer.headers.get("location") == "/control/apps/site", answer.text
    return "/control/apps/site"


def rows(engine: Engine, query: str) -> list[str]:
    with engine.connect() as connection:
        return [str(row) for row in connection.execute(text(query)).scalars()]


def test_an_app_is_added_on_the_page_and_its_credentials_are_shown_nowhere(
    admin: Visitor, sport: str, engine: Engine
) -> None:
    pages = [admin.get(f"/control/apps{path}").text for path in ("", "/sport-ios")]
    assert "sport-ios" in pages[0]
    assert re.search(r"changed \d+ s ago", pages[0])
    assert "org.example.sport" in pages[1]
    entries = rows(engine, "SELECT audit::text FROM audit") + rows(
        engine, "SELECT app::text FROM app"
    )
    secret = sport.splitlines()[1]
    assert not [each for each in (*pages, *entries) if secret in each]
    assert "add app" in admin.get("/control/audit").text


def test_every_default_app_is_listed_with_its_credentials_from_the_environment(
    admin: Visitor,
) -> None:
    page = admin.get("/control/apps").text
    assert page.count("of the environment") == 3
    assert 'href="/control/apps"' in admin.get("/control").text
    assert admin.get("/control/apps/apns").status_code == 200


def test_a_wrong_field_is_named_and_the_others_keep_their_text(
    admin: Visitor, engine: Engine
) -> None:
    key = key_text()
    for change, name, sentence in (
        ({"credentials.key": "no key"}, "credentials.key", "Key: It "),
        ({"options.key_id": "short"}, "options.key_id", "ten letters and digits"),
        ({"options.topic": ""}, "options.topic", "An app of apns needs topic."),
        ({"name": "Sport!"}, "name", "lower-case letters"),
        ({"name": "apns"}, "name", "default app"),
    ):
        fields = {"name": "sport-ios", "credentials.key": key} | OPTIONS | change
        answer = admin.submit(APNS, **fields)
        assert answer.status_code == 422
        wrong = re.findall(r'<(?:input|textarea)[^>]*aria-invalid="true"', answer.text)
        assert [re.findall(r' name="([^"]+)"', each) for each in wrong] == [[name]]
        assert sentence in unescape(answer.text)
        assert 'value="TEAM123456"' in answer.text
        assert key.splitlines()[1] not in answer.text
    assert not rows(engine, "SELECT name FROM app")


def test_new_credentials_take_the_place_of_the_old_and_end_a_workers_hold(
    admin: Visitor, sport: str, engine: Engine
) -> None:
    with engine.begin() as connection:
        query = (
            "INSERT INTO hold (provider, reason, held_by) VALUES ('sport-ios', 'Bad key', 'worker')"
        )
        connection.execute(text(query))
    assert "Bad key" in admin.get("/control/apps").text
    nothing = admin.submit("/control/apps/sport-ios/credentials")
    assert nothing.status_code == 422
    assert "as they were" in nothing.text
    wrong = admin.submit("/control/apps/sport-ios/credentials", **{"credentials.key": "x"})
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    before = rows(engine, "SELECT encode(credentials, 'hex') FROM app")
    key = {"credentials.key": key_text()}
    assert admin.submit("/control/apps/sport-ios/credentials", **key).status_code == 303
    assert rows(engine, "SELECT encode(credentials, 'hex') FROM app") != before
    assert "Bad key" not in admin.get("/control/apps").text


def test_options_change_one_by_one_and_unchanged_ones_change_nothing(
    admin: Visitor, sport: str, engine: Engine
) -> None:
    revision = "SELECT revision FROM app"
    before = rows(engine, revision)
    admin.submit("/control/apps/sport-ios", **OPTIONS)
    assert rows(engine, revision) == before
    admin.submit("/control/apps/sport-ios", **OPTIONS | {"options.topic": "org.example.new"})
    assert "org.example.new" in admin.get("/control/apps/sport-ios").text
    refused = admin.submit("/control/apps/sport-ios", **OPTIONS | {"options.url": "ftp://x"})
    assert refused.status_code == 422
    assert 'value="ftp://x"' in refused.text


def test_an_app_is_disabled_and_enabled_again(admin: Visitor, sport: str) -> None:
    admin.submit("/control/apps/sport-ios/disable")
    assert "Disabled" in admin.get("/control/apps").text
    admin.submit("/control/apps/sport-ios/enable")
    assert "Disabled" not in admin.get("/control/apps").text
    assert admin.submit("/control/apps/nobody/disable").status_code == 404


def test_a_web_apps_new_key_comes_before_the_present_ones_unless_they_are_given_up(
    admin: Visitor, web: str, engine: Engine
) -> None:
    def size() -> int:
        return int(rows(engine, "SELECT length(credentials) FROM app")[0])

    one_key = size()
    key = {"credentials.vapid_keys": key_text()}
    admin.submit(f"{web}/credentials", adds_keys="yes", **key)
    assert size() > 1.7 * one_key
    admin.submit(f"{web}/credentials", **key)
    assert size() == one_key


def test_a_web_apps_page_has_what_a_site_needs_with_the_scripts_hash(
    admin: Visitor, web: str
) -> None:
    page = unescape(admin.get(web).text)
    script = re.search(r'<script src="([^"]+)"\s+integrity="([^"]+)"\s+crossorigin', page)
    assert script
    assert script[2] == kit.integrity("newszop.js")
    assert admin.get(script[1].removeprefix(SITE)).content == kit.kit_files()["newszop.js"]
    assert f'newszop.init({{ server: "{SITE}", app: "site" }})' in page
    worker = re.search(r'importScripts\("([^"]+)"\);', page)
    assert worker
    assert admin.get(worker[1].removeprefix(SITE)).status_code == 200
    assert "https://m.news.example" in page


def test_a_web_apps_sites_and_prompt_are_saved_as_its_pages_read_them(
    admin: Visitor, web: str
) -> None:
    fields = {"origins": "https://new.example", "prompt.after_views": "5"}
    lists = {"prompt.sections": "/sport, /news", "prompt.topics": "sport/tennis"}
    assert admin.submit(f"{web}/site", **fields | lists).status_code == 303
    rules = admin.get("/api/web-apps/site").json()["prompt"]
    topics = {"sections": ["/sport", "/news"], "topics": ["sport/tennis"]}
    assert rules == {"after_views": 5} | topics
    assert "m.news.example" not in admin.get(web).text
    wrong = admin.submit(f"{web}/site", origins="https://new.example/path")
    assert wrong.status_code == 422
    assert "is no origin" in wrong.text
    assert "https://new.example/path</textarea>" in wrong.text


def test_a_login_key_is_set_refused_and_taken_away(admin: Visitor, sport: str) -> None:
    path = "/control/apps/sport-ios"
    assert admin.submit(f"{path}/login-key", login_key="short").status_code == 422
    secret = "a secret of more than 32 characters"
    admin.submit(f"{path}/login-key", login_key=secret)
    page = admin.get(path).text
    assert "signed by the publisher" in page
    assert secret not in page
    admin.submit(f"{path}/login-key")
    assert "signed by the publisher" not in admin.get(path).text


def test_credentials_are_not_kept_for_after_a_sign_in(visitor: Visitor) -> None:
    headers = {"Origin": SITE}
    fields = {"credentials.key": "a secret key", "name": "sport-ios"}
    answer = visitor.post(APNS, data=fields, headers=headers)
    assert "a secret key" not in answer.text
    assert answer.headers["location"].startswith("/login")


def test_each_provider_has_a_form_of_its_own_settings(admin: Visitor) -> None:
    for provider in provider_door.settings_classes():
        page = admin.get(f"/control/apps/new/{provider}").text
        fields = provider_door.app_fields(provider)
        secrets = {field.name for field in fields if field.is_secret}
        assert secrets == provider_door.secret_names(provider)
        for field in app_forms.form_fields(fields, {}):
            assert f'name="{field.name}"' in page
            assert field.hint
