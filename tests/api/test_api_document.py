"""The OpenAPI document: valid, complete, and true to what the calls do."""

import asyncio
import json
import re
import time
from collections import Counter
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.app import create_app
from service.http import api_document
from service.settings import Settings
from tests.site_client import SiteClient

FORMATS = Draft202012Validator.FORMAT_CHECKER
READER_CALLS = {
    ("/api/me/devices", "put"): "DeviceId",
    ("/api/me/subscriptions/{topic}", "put"): "SubscriptionShown",
}


SETTINGS = Settings(
    _env_file=None,
    database_url="postgresql://nobody@127.0.0.1:1/none",
    redis_url="redis://127.0.0.1:1/0",
    secret_key="a secret that only tests know",
)


@pytest.fixture(scope="module")
def document():
    return SiteClient(create_app(SETTINGS)).get("/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_document_is_valid_openapi(document):
    assert [fault.message for fault in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_reference_resolves(document):
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        node = document
        assert reference.startswith("#/")
        for step in reference[2:].split("/"):
            node = node[step]


def schemas_below(node):
    """Every schema in a part of the document, whatever it is a part of."""
    if isinstance(node, dict):
        if {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"} & node.keys():
            yield node
        for each in node.values():
            yield from schemas_below(each)
    elif isinstance(node, list):
        for each in node:
            yield from schemas_below(each)


def test_every_example_and_every_default_fits_its_schema(document):
    faults, number = [], 0
    for schema in schemas_below([document["components"]["schemas"], document["paths"]]):
        examples = schema.get("examples", [])
        values = [*(examples if isinstance(examples, list) else [])]
        values += [schema[name] for name in ("default", "example") if name in schema]
        for value in values:
            number += 1
            whole = {**schema, "components": document["components"]}
            validator = Draft202012Validator(whole, format_checker=FORMATS)
            faults += [f"{value!r}: {fault.message}" for fault in validator.iter_errors(value)]
    assert not faults
    assert number > 100


def test_names_of_schemes_and_models_fit_every_generator(document):
    components = document["components"]
    for name in (*components["securitySchemes"], *components["schemas"]):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    titles = Counter(schema.get("title") for schema in components["schemas"].values())
    assert max(titles.values()) == 1, titles.most_common(3)


def test_every_answer_has_its_schema(document):
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status == "204":
                assert "content" not in answer
                continue
            for media_type, media in answer["content"].items():
                assert media["schema"], (path, method, status, media_type)


@pytest.mark.parametrize(("call", "model"), READER_CALLS.items())
def test_a_new_thing_is_answered_as_a_known_one(document, call, model):
    path, method = call
    responses = document["paths"][path][method]["responses"]
    for status in ("200", "201"):
        schema = responses[status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{model}"}


def test_every_call_says_what_it_does_and_has_a_name_of_its_own(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        assert len(operation["summary"].split()) > 2, (path, method, operation["summary"])
        assert not operation["summary"].istitle(), (path, method)


def test_a_report_is_typed(document):
    schema = document["components"]["schemas"]["AlertShown"]
    assert {"totals", "timing", "by_provider", "stop_reason"} <= schema["properties"].keys()
    assert "stop_reason" not in schema["required"]


def test_every_default_is_accepted(client, document, as_reader, as_editor, providers):
    schemas = document["components"]["schemas"]

    def defaults(name):
        members = schemas[name]["properties"].items()
        return {member: schema["default"] for member, schema in members if "default" in schema}

    device = defaults("DeviceBody") | {"provider": "apns", "address": "ab" * 32}
    story = defaults("StoryIn") | {"headline": "h", "body": "b", "topics": ["sport"]}
    made = client.post("/api/stories", json=story, headers=as_editor)
    assert made.status_code == 201, made.text
    calls = (
        ("POST", "/api/readers", defaults("NewReader"), {}),
        ("PATCH", "/api/me", defaults("ReaderChange"), as_reader),
        ("PUT", "/api/me/devices", device, as_reader),
        ("PUT", "/api/me/subscriptions/sport", defaults("Terms"), as_reader),
        ("POST", f"/api/stories/{made.json()['id']}/alerts", defaults("AlertBody"), as_editor),
    )
    for method, path, body, headers in calls:
        answer = client.request(method, path, json=body, headers=headers)
        assert answer.is_success, (path, body, answer.text)


def test_however_many_ask_first_the_document_is_written_once(monkeypatch):
    documents = []

    def write(**values):
        documents.append(values)
        time.sleep(0.05)  # the others ask meanwhile
        return {"components": {"schemas": {}}, "paths": {}}

    monkeypatch.setattr(api_document, "get_openapi", write)
    app = FastAPI(openapi_url=None)
    app.state.settings = SimpleNamespace(public_url="https://news.example")
    api_document.install(app)

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            return await asyncio.gather(*[client.get(api_document.PATH) for _ in range(16)])

    answers = asyncio.run(ask())
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == len(documents) == 1
