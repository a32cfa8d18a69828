"""The web kit's files, and who may call what from another site."""

import gzip
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from service.store.operations import apps
from service.store.session import transaction
from service.web import kit
from tests.site_client import SiteClient
from tests.web.conftest import Visitor

SITE = "https://www.publisher.example"
STRANGER = "https://other.example"
BYTES = {
    "newszop.js": "sha384-i79bG0jwg1q4sjYpT8yRLCqj7Y5DHH3YDWbESxKahszb0//lfXAtuRQn6ctwkCxf",
    "newszop.mjs": "sha384-GaC4pOiC9NgdrlClvOLS148HbHHoEx69IJfKo6qvkScyxrAjw4Rp3H7w8EnPeFVA",
    "newszop-sw.js": "sha384-vlKY+2ZpO+ToufqIZ9Jq40s2VBhW4FERh0CGydRm80VX4lI6uHY+O6yOpYs3sNjh",
}
"""What version 1.0.0 is. Other bytes need another version in `kit.KIT_VERSION`."""


@pytest.fixture
def listed(engine: Engine) -> str:
    """Return an origin that the default web app lists."""
    with transaction(engine) as session:
        rules = {"after_views": 3}
        app = apps.App(name="webpush", provider="webpush", origins=(SITE,), prompt=rules)
        assert apps.add(session, app)
    return SITE


def preflight(client: SiteClient, path: str, origin: str, method: str) -> Any:
    return client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": method})


@pytest.mark.parametrize("name", BYTES)
def test_a_version_of_the_kit_never_changes(visitor: Visitor, name: str) -> None:
    answer = visitor.get(kit.kit_url(name))
    assert kit.integrity(name) == BYTES[name]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.content == kit.kit_files()[name]
    assert visitor.get(f"/kit/{name}").content == answer.content
    assert visitor.get(f"/kit/0.0.1/{name}").status_code == 404


def test_page_and_worker_weigh_under_12_kb_compressed() -> None:
    both = kit.kit_files()["newszop.js"] + kit.kit_files()["newszop-sw.js"]
    assert len(gzip.compress(both, 9)) < 12 * 1024


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not found")
@pytest.mark.parametrize("name", ["newszop.js", "newszop.mjs", "newszop-sw.js"])
def test_every_file_is_a_script_that_parses(name: str, tmp_path: Any) -> None:
    file = tmp_path / name
    file.write_bytes(kit.kit_files()[name])
    subprocess.run(["node", "--check", str(file)], check=True)


def test_a_listed_site_may_make_a_readers_calls(visitor: Visitor, listed: str) -> None:
    answer = visitor.post("/api/readers", json={}, headers={"Origin": listed})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == listed
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    asked = preflight(visitor, "/api/me/devices", listed, "PUT")
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == listed
    assert "PUT" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-headers"] == "authorization, content-type"


def test_a_refusal_can_be_read_by_a_listed_site_too(visitor: Visitor, listed: str) -> None:
    answer = visitor.get("/api/me", headers={"Origin": listed})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == listed


@pytest.mark.parametrize(
    "origin", [STRANGER, "null", f"{SITE}.evil.example", SITE.upper(), f"{SITE}/", f"{SITE}:8443"]
)
def test_nobody_else_may(visitor: Visitor, listed: str, origin: str) -> None:
    answer = visitor.post("/api/readers", json={}, headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    asked = preflight(visitor, "/api/readers", origin, "POST")
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api/alerts",
        "/api/admin/apps",
        "/api/admin/providers",
        "/api/stories/1/alerts",
        "/api/stories/1/retract",
        "/desk",
        "/login",
        "/me",
        "/me/browser",
        "/health/ready",
        "/metrics",
    ],
)
def test_nothing_of_the_newsroom_is_ever_allowed(visitor: Visitor, listed: str, path: str) -> None:
    for answer in (
        visitor.get(path, headers={"Origin": listed}),
        preflight(visitor, path, listed, "GET"),
        preflight(visitor, path, listed, "POST"),
    ):
        assert "access-control-allow-origin" not in answer.headers


def test_an_answer_that_others_may_keep_varies_by_origin_even_without_one(
    visitor: Visitor, listed: str
) -> None:
    for path in ("/api/web-apps/webpush", "/api/topics", kit.kit_url("newszop.js")):
        assert "Origin" in visitor.get(path).headers["vary"]
    assert "access-control-allow-origin" not in preflight(visitor, "/api/me", "", "GET").headers


def test_while_postgres_is_away_the_list_stays_as_it_was(
    app: FastAPI, visitor: Visitor, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kit.kit_url("newszop.js")
    assert visitor.get(path, headers={"Origin": listed}).status_code == 200

    def load() -> frozenset[str]:
        raise OperationalError("", {}, Exception("the server closed the connection"))

    origins = app.state.site_origins
    monkeypatch.setattr(origins, "load", load)
    monkeypatch.setattr(origins, "_until", 0.0)
    answer = visitor.get(path, headers={"Origin": listed})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == listed


def test_a_story_may_be_read_and_not_written(visitor: Visitor, listed: str) -> None:
    asked = preflight(visitor, "/api/stories", listed, "POST")
    assert asked.headers["access-control-allow-methods"] == "GET"


def test_a_web_app_tells_its_key_and_its_prompt(visitor: Visitor, listed: str) -> None:
    answer = visitor.get("/api/web-apps/webpush", headers={"Origin": listed})
    assert answer.headers["access-control-allow-origin"] == listed
    found = answer.json()
    assert (found["name"], found["prompt"]) == ("webpush", {"after_views": 3})
    assert len(found["vapid_key"]) == 87
    assert visitor.get("/api/web-apps/nothing").status_code == 404


def test_a_disabled_app_lists_nobody(app: FastAPI, visitor: Visitor, listed: str) -> None:
    with transaction(app.state.engine) as session:
        row = apps.lock(session, "webpush")
        assert row is not None
        apps.save(session, replace(row, disabled_at=datetime.now(UTC)))
    answer = visitor.get("/api/topics", headers={"Origin": listed})
    assert "access-control-allow-origin" not in answer.headers
    assert visitor.get("/api/web-apps/webpush").status_code == 404
