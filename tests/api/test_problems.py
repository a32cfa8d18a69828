import inspect

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from sqlalchemy import exc as sql

from service.domain import errors
from service.http import body_limit, problems
from tests.site_client import SiteClient

REFUSALS = [
    cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.Refusal)
]
MADE = {
    errors.Invalid: errors.Invalid("topics.1", "No."),
    errors.AlreadyAlerted: errors.AlreadyAlerted(7),
    errors.AddressGone: errors.AddressGone(),
    errors.TooMany: errors.TooMany("No.", 17),
    errors.Unavailable: errors.Unavailable("No.", 5),
}


def test_every_refusal_of_the_domain_has_its_status():
    assert set(problems.KINDS) == set(REFUSALS)


@pytest.fixture
def raise_it(app: FastAPI, client: SiteClient):
    def call(error: Exception, **asked):
        @app.get("/api/broken")
        def broken() -> None:
            raise error

        return client.get("/api/broken", **asked)

    return call


@pytest.mark.parametrize("cls", REFUSALS, ids=lambda cls: cls.__name__)
def test_a_refusal_is_a_problem_with_all_its_members(raise_it, client, cls):
    answer = raise_it(MADE.get(cls) or cls("No."))
    kind = problems.KINDS[cls]
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["title"], body["status"]) == (kind.type, kind.title, kind.status)
    assert body["detail"]
    assert client.get(body["type"]).json()["status"] == kind.status


def test_what_a_caller_can_act_on_stands_in_the_problem(raise_it):
    assert raise_it(MADE[errors.Invalid]).json()["errors"] == [
        {"field": "topics.1", "detail": "No."}
    ]


def test_the_second_alert_names_the_first(raise_it):
    assert raise_it(MADE[errors.AlreadyAlerted]).json()["first"] == {
        "id": "7",
        "url": "https://news.example/desk/alerts/7",
    }


@pytest.mark.parametrize(("cls", "seconds"), [(errors.TooMany, "17"), (errors.Unavailable, "5")])
def test_who_is_told_to_wait_is_told_how_long(raise_it, cls, seconds):
    assert raise_it(MADE[cls]).headers["Retry-After"] == seconds


def test_a_caller_without_credentials_is_told_which_to_send(raise_it):
    assert raise_it(errors.Unauthenticated("Who?")).headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "error",
    [
        sql.OperationalError("SELECT secret", {"a": "address"}, Exception("x")),
        sql.InterfaceError("SELECT secret", {"a": "address"}, Exception("x")),
        sql.TimeoutError("QueuePool limit"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_is_away_or_full_is_a_503_to_be_tried_again(raise_it, error):
    answer = raise_it(error)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "address" not in answer.text


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), 422),
        (psycopg.errors.InvalidParameterValue('time zone "Asia/Calcutta" not recognized'), 500),
        (psycopg.errors.NumericValueOutOfRange("bigint out of range"), 500),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_an_error_of_the_database_is_never_the_callers_fault(raise_it, cause, status):
    answer = raise_it(sql.DataError("SELECT secret", {"a": "address"}, cause))
    assert answer.status_code == status
    assert ("NUL" in answer.text) == (status == 422)


def test_a_fault_of_ours_tells_nothing_of_the_inside(raise_it):
    answer = raise_it(RuntimeError("the address is 0123456789"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "0123456789" not in answer.text
    assert "RuntimeError" not in answer.text


@pytest.mark.parametrize(
    ("body", "says"),
    [(b'{"headline": ', "character 13"), (b"", "JSON object"), (b"\xff\xfe\x00", ""), (b"nul", "")],
)
def test_a_body_that_is_not_json_is_said_to_be_so(client, as_ingester, body, says):
    answer = client.post(
        "/api/stories", content=body, headers=as_ingester | {"Content-Type": "application/json"}
    )
    assert answer.status_code == (422 if body == b"" else 400)
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"version": ' + b"9" * 5000 + b"}"])
def test_json_that_would_break_a_parser_is_malformed(client, as_ingester, body):
    answer = client.post(
        "/api/stories", content=body, headers=as_ingester | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_instead_of_json_is_told_what_to_send(client, as_ingester):
    answer = client.post("/api/stories", data={"headline": "x"}, headers=as_ingester)
    assert answer.status_code == 422
    assert "application/json" in answer.json()["detail"]


def test_an_unknown_address_and_an_unfit_method_are_problems(client):
    for answer, status in (
        (client.get("/api/nowhere"), 404),
        (client.delete("/api/topics"), 405),
    ):
        assert answer.status_code == status
        assert answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_that_announces_too_much_is_refused_unread(client, as_ingester):
    answer = client.post(
        "/api/stories",
        content=b" " * (body_limit.MAX_REQUEST_BYTES + 1),
        headers=as_ingester | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/too-large"


@pytest.mark.parametrize(("pieces", "status"), [(4, 400), (5, 413)])
def test_a_request_in_pieces_is_counted_as_it_comes(app, client, as_ingester, pieces, status):
    """The body of four mebibytes is read, and found to be no JSON; the fifth is not taken."""
    sent = [b" " * 1024 * 1024] * pieces
    answered = []

    async def receive():
        return {"type": "http.request", "body": sent.pop(), "more_body": bool(sent)}

    async def send(message):
        answered.append(message)

    headers = as_ingester | {"Content-Type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/stories",
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }
    client.portal.call(app, scope, receive, send)
    assert answered[0]["status"] == status
    said = dict(answered[0]["headers"])
    assert said[b"content-type"] == b"application/problem+json"
    assert (said.get(b"connection") == b"close") is (status == 413), "the rest is never read"


def test_people_get_a_page_and_programs_a_problem(app, client):
    def error_page(request, status, title, detail):
        return HTMLResponse(f"<h1>{title}</h1>", status)

    app.state.error_page = error_page
    browser = {"Accept": "text/html,application/xhtml+xml"}
    page = client.get("/nowhere/at/all", headers=browser)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for path, headers in (("/nowhere/at/all", {}), ("/api/nowhere", browser)):
        answer = client.get(path, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json"
