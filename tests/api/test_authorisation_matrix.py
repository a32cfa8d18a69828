"""Who may call what: every route has a row, and every kind of caller is held to it."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

import pytest
from starlette.staticfiles import StaticFiles

from service.actions import readers as reader_actions
from service.app import create_app
from service.domain.people import Role, Scope
from service.settings import Settings
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.staff import accounts
from service.unit_of_work import unit_of_work

SETTINGS = Settings(
    _env_file=None,
    database_url="postgresql://nobody@127.0.0.1:1/none",
    redis_url="redis://127.0.0.1:1/0",
    secret_key="a secret that only tests know",
)


MOUNT = "MOUNT"
"""In place of a method: a folder of files."""


def routes_of(settings):
    """Every route, as method and path."""
    return {
        (method, route.path)
        for route in create_app(settings).routes
        for method in getattr(route, "methods", None) or {MOUNT}
        if method != "HEAD"
    }


ROUTES = sorted(routes_of(SETTINGS), key=lambda route: route[::-1])
DEMO_ROUTES = {("GET", "/phones"), ("GET", "/phones/screens")}
"""Where the demo shows what its phones got; without the demo there is no such address."""
ROWS = {
    "public": """
        GET /
        POST /api/readers
        POST /api/receipts
        GET /api/stories
        GET /api/stories/{story_id}
        GET /api/stories/{story_id}/next
        GET /api/topics
        GET /api/web-apps/{name}
        GET /api/websub/{token}
        GET /badge.png
        GET /docs
        GET /docs/start
        GET /docs/oauth2-redirect
        GET /favicon.ico
        GET /feed.json
        GET /feed.xml
        GET /health/live
        GET /health/ready
        MOUNT /docs/files
        MOUNT /static/{build}
        GET /icon-{size}.png
        GET /icon.svg
        GET /login
        POST /login
        POST /login/code
        POST /logout
        GET /manifest.webmanifest
        GET /media/{name}
        GET /offline
        GET /openapi.json
        GET /problems/{slug}
        GET /robots.txt
        GET /kit/{name}
        GET /kit/{version}/{name}
        GET /search
        GET /service-worker.js
        GET /sitemap-news.xml
        GET /static/icon-{size}.png
        GET /stories/{slug}
        GET /topics
        GET /topics/{path:path}
    """,
    "reader": """
        DELETE /api/me
        GET /api/me
        PATCH /api/me
        GET /api/me/devices
        PUT /api/me/devices
        DELETE /api/me/devices/{device_id}
        GET /api/me/export
        POST /api/me/login
        POST /api/me/logout
        GET /api/me/subscriptions
        DELETE /api/me/subscriptions/{topic:path}
        GET /api/me/subscriptions/{topic:path}
        PUT /api/me/subscriptions/{topic:path}
    """,
    "stories": """
        DELETE /api/admin/sources/{source_id}
        GET /api/admin/sources
        GET /api/admin/sources/{source_id}/deliveries
        PATCH /api/admin/sources/{source_id}
        POST /api/admin/sources
        POST /api/admin/sources/{source_id}/deliveries/{delivery_id}/replay
        POST /api/ingest/newsml-g2
        POST /api/media
        POST /api/ingest/ninjs
        POST /api/stories
        POST /api/stories/{story_id}/retract
    """,
    "alerts": """
        GET /api/alerts
        GET /api/alerts/{alert_id}
        GET /api/alerts/{alert_id}/devices/{device_id}
        GET /api/alerts/{alert_id}/events
        GET /api/reports/alerts
        GET /api/reports/alerts.csv
        GET /api/reports/alerts/{alert_id}
        GET /api/reports/alerts/{alert_id}/{table}.csv
        GET /api/reports/audience
        GET /api/reports/audience.csv
        GET /api/reports/months/{month}
        GET /api/reports/months/{month}/{table}.csv
        POST /api/alerts/{alert_id}/continue
        POST /api/alerts/{alert_id}/replay
        POST /api/alerts/{alert_id}/stop
        POST /api/alerts/{alert_id}/withdraw
        POST /api/stories/{story_id}/alerts
        POST /api/stories/{story_id}/alerts/estimate
    """,
    "admin": """
        GET /api/admin/apps
        POST /api/admin/apps
        GET /api/admin/apps/{name}
        PATCH /api/admin/apps/{name}
        GET /api/admin/audit
        GET /api/admin/dead-letters
        POST /api/admin/dead-letters/replay
        GET /api/admin/pause
        PUT /api/admin/pause
        DELETE /api/admin/pause
        DELETE /api/admin/people/{external_id}
        GET /api/admin/people/{external_id}
        PUT /api/admin/people/{external_id}
        GET /api/admin/providers
        DELETE /api/admin/providers/{name}/hold
        PUT /api/admin/providers/{name}/hold
        GET /api/admin/queues
        GET /api/reports/providers
        GET /api/reports/providers.csv
        POST /api/topics
    """,
    "browser": """
        GET /me
        GET /me/browser
        PUT /me/browser
        POST /me/change
        POST /me/devices/{device_id}/remove
        GET /me/export
        POST /me/follow
        POST /me/alerts-off
        POST /me/forget
        GET /me/missed
        POST /me/mute
        POST /me/settings
        GET /me/state
        POST /me/unfollow
        GET /metrics
        GET /first-admin/{token}
        POST /first-admin/{token}
    """,
    "desk": """
        GET /desk
        GET /desk/account
        POST /desk/account/code
        POST /desk/account/devices
        POST /desk/account/devices/untie
        POST /desk/account/no-code
        POST /desk/account/password
        GET /desk/alerts
        GET /desk/alerts/{alert_id}
        POST /desk/alerts/{alert_id}/continue
        POST /desk/alerts/{alert_id}/replay
        POST /desk/alerts/{alert_id}/schedule
        POST /desk/alerts/{alert_id}/stop
        POST /desk/alerts/{alert_id}/undo
        POST /desk/alerts/{alert_id}/withdraw
        POST /desk/links
        POST /desk/pictures
        GET /desk/reports/audience
        GET /desk/reports/month
        GET /desk/sources
        POST /desk/sources/feeds
        POST /desk/sources/opml
        POST /desk/sources/webhooks
        GET /desk/sources/{source_id}
        POST /desk/sources/{source_id}
        POST /desk/sources/{source_id}/deliveries/{delivery_id}/replay
        POST /desk/sources/{source_id}/map
        POST /desk/sources/{source_id}/pause
        POST /desk/sources/{source_id}/poll
        POST /desk/sources/{source_id}/remove
        POST /desk/sources/{source_id}/secret
        GET /desk/stories/new
        POST /desk/stories/new
        GET /desk/stories/{story_id}
        POST /desk/stories/{story_id}
        GET /desk/stories/{story_id}/push
        POST /desk/stories/{story_id}/push
        POST /desk/stories/{story_id}/push/look
        POST /desk/stories/{story_id}/push/take-back
        POST /desk/stories/{story_id}/push/test
        GET /desk/stories/{story_id}/push/test/{alert_id}
        POST /desk/stories/{story_id}/retract
        GET /desk/stories/{story_id}/revisions
        POST /desk/stories/{story}/autosave
        POST /desk/stories/{story}/throw-away
        GET /login/session
        POST /desk/suggestions/{story_id}/dismiss
        POST /desk/suggestions/{story_id}/send
        POST /me/test-pushes/stop
    """,
    "signature": """
        POST /api/hooks/{name}
        POST /api/websub/{token}
    """,
    "pairing": """
        POST /me/test-pushes
    """,
    "control": """
        GET /control
        POST /control/alarms/test
        GET /control/apps
        GET /control/apps/new/{provider}
        POST /control/apps/new/{provider}
        GET /control/apps/{name}
        POST /control/apps/{name}
        POST /control/apps/{name}/credentials
        POST /control/apps/{name}/disable
        POST /control/apps/{name}/enable
        POST /control/apps/{name}/login-key
        POST /control/apps/{name}/site
        POST /control/alerts/{alert_id}/stop
        GET /control/audit
        POST /control/dead-letters/replay
        POST /control/keys
        POST /control/keys/{key_id}/revoke
        POST /control/keys/{key_id}/rotate
        GET /control/live
        GET /control/people
        POST /control/people
        POST /control/people/{staff_id}/disable
        POST /control/people/{staff_id}/enable
        POST /control/people/{staff_id}/no-code
        POST /control/people/{staff_id}/password
        POST /control/people/{staff_id}/sign-out
        POST /control/pause
        POST /control/resume
        POST /control/providers/{name}/hold
        POST /control/providers/{name}/release
        GET /control/test-push
        POST /control/test-push
        GET /control/topics
        POST /control/topics
        POST /control/topics/move
    """,
}
"""`browser` is a visitor's own browser, known by its cookie: no other credential has a say there.
`pairing` needs that cookie and an editor's session, so no caller with only one of them.
`signature` is the sender's own over the body."""
ACCESS = {
    tuple(line.split()): access
    for access, rows in ROWS.items()
    for line in rows.strip().split("\n")
}
KEYS = {
    "stories key": Scope.STORIES_WRITE,
    "alerts key": Scope.ALERTS_WRITE,
    "admin key": Scope.ADMIN,
}
NEEDED = {
    "stories": Scope.STORIES_WRITE,
    "alerts": Scope.ALERTS_WRITE,
    "admin": Scope.ADMIN,
}
STAFF = {"editor": Role.EDITOR, "admin": Role.ADMIN}
CALLERS = ("nobody", "reader", *KEYS, *STAFF)


def test_every_route_has_a_row_and_every_row_a_route():
    assert set(ROUTES) == set(ACCESS)


def test_the_demo_adds_its_phones_and_nothing_else():
    demo = SETTINGS.model_copy(update={"demo": True, "public_url": "http://127.0.0.1:8000"})
    assert routes_of(demo) - set(ROUTES) == DEMO_ROUTES


def test_every_hot_call_is_a_route_with_a_row(app):
    known = {(method, path.replace(":path", "")) for method, path in ACCESS}
    hot = {(method, route.path) for (method, _), route in app.state.hot.routes.items()}
    assert hot
    assert hot <= known


def test_a_new_route_of_any_kind_without_a_row_is_found(monkeypatch):
    app = create_app(SETTINGS)
    app.get("/desk/new")(lambda: "")
    app.mount("/folder", StaticFiles(directory="."))
    monkeypatch.setitem(globals(), "create_app", lambda _: app)
    assert routes_of(SETTINGS) - set(ACCESS) == {("GET", "/desk/new"), (MOUNT, "/folder")}


def is_allowed(caller, access, method):
    if access in NEEDED:
        scope = NEEDED[access]
        by_session = method == "GET" and caller in STAFF and scope in STAFF[caller].scopes
        return KEYS.get(caller) is scope or by_session
    return caller in {
        "public": CALLERS,
        "browser": CALLERS,
        "pairing": (),
        "signature": (),
        "reader": ("reader",),
        "desk": STAFF,
        "control": ("admin",),
    }.get(access, ())


def sign_in(engine, role):
    now = datetime.now(UTC)
    with transaction(engine) as session:
        row = StaffRow(email=f"{now.timestamp()}@news.example", password_hash="none", role=role)
        session.add(row)
        session.flush()
        return accounts.open_session(session, row.id, now, timedelta(hours=1))


def credentials(caller, app, engine, make_key):
    """Return headers of a caller that is new, for the call before may have ended it."""
    if caller in KEYS:
        return {"Authorization": f"Bearer {make_key(KEYS[caller])}"}
    if caller == "reader":
        with unit_of_work(engine, app.state.broker) as work:
            _, token = reader_actions.register_reader(work, "en", "UTC", None)
        return {"Authorization": f"Bearer {token}"}
    if caller in STAFF:
        token = sign_in(engine, STAFF[caller])
        secret = app.state.settings.secret_key.encode()
        key = hashlib.sha256(b"csrf:" + secret).digest()
        form = hmac.new(key, token.encode(), hashlib.sha256).hexdigest()
        return {"Cookie": f"newszop_staff={token}", "X-CSRF-Token": form}
    return {}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("caller", CALLERS)
def test_a_caller_may_call_what_its_row_says_and_nothing_else(
    caller, app, client, engine, make_key, providers
):
    breaches = []
    for (method, path), access in sorted(ACCESS.items()):
        if path == "/metrics" or (access == "browser" and caller != "nobody"):
            continue
        headers = credentials(caller, app, engine, make_key)
        address = re.sub(r"\{[^}]*\}", "1", path)
        call = ("GET", f"{address}/none") if method == MOUNT else (method, address)
        answer = client.request(*call, headers=headers, follow_redirects=False)
        client.cookies.clear()
        to_login = answer.status_code == 303 and "/login" in answer.headers["location"]
        refused = answer.status_code in (401, 403) or to_login
        expected = not is_allowed(caller, access, method)
        if access in ("public", "browser"):
            refused = answer.status_code == 403
        if refused != expected or answer.status_code >= 500:
            breaches.append(f"{method} {path}: {answer.status_code}, {access}")
    assert not breaches, "\n".join(breaches)


def test_a_reader_reaches_no_device_of_another(client, make_reader, providers):
    owner, other = make_reader(), make_reader()
    body = {"provider": "apns", "address": "ab" * 32}
    device = client.put("/api/me/devices", headers=owner, json=body).json()["id"]
    cookie = {"Cookie": f"newszop_reader={other['Authorization'].removeprefix('Bearer ')}"}
    assert client.delete(f"/api/me/devices/{device}", headers=other).status_code == 404
    client.post(f"/me/devices/{device}/remove", headers=cookie)
    assert client.get("/api/me/devices", headers=other).json()["items"] == []
    assert device not in client.get("/api/me/export", headers=other).text
    [known] = client.get("/api/me/devices", headers=owner).json()["items"]
    assert known["id"] == device
