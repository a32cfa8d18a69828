"""A short run of the fuzzer; `make fuzz MINUTES=5` is the long one."""

import time

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from tests.credentials import provider_environment
from tests.fuzz.application import PROVIDERS, build_application

SEED = 7


class Number(BaseModel):
    n: int


@pytest.fixture
def fuzzed(database_url, engine, redis_url, tmp_path, monkeypatch) -> FastAPI:
    for name, value in (provider_environment(tmp_path) | PROVIDERS).items():
        monkeypatch.setenv(name, value)
    return build_application(database_url, redis_url)


@pytest.fixture
def fuzz():
    from tests.fuzz.api_fuzz import fuzz  # noqa: PLC0415 - schemathesis takes a second to load

    return fuzz


def is_one_round(rounds):
    return rounds == 1


def test_no_answer_breaks_its_document_whoever_calls(fuzzed, fuzz):
    outcome = fuzz(fuzzed, examples=2, first_seed=SEED, is_over=is_one_round)
    assert outcome.is_good, outcome.verdict()
    assert outcome.calls > 300


def test_a_fault_a_broken_answer_and_a_blocked_loop_are_reported(fuzzed, fuzz):
    @fuzzed.get("/api/broken/fault", response_model=Number)
    def fault() -> JSONResponse:
        return JSONResponse({}, status_code=500)

    @fuzzed.get("/api/broken/answer", response_model=Number)
    def answer() -> JSONResponse:
        return JSONResponse({"n": "one"})

    @fuzzed.get("/api/broken/loop")
    async def block() -> Number:
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            pass
        return Number(n=1)

    outcome = fuzz(fuzzed, examples=1, first_seed=SEED, is_over=is_one_round, below="/api/broken/")
    text = "\n".join(outcome.faults)
    assert "GET /api/broken/fault as anonymous: 500" in text
    assert "GET /api/broken/answer as anonymous: Response violates schema" in text
    assert outcome.longest_pause_s > 0.15
    assert outcome.longest_pause_in == "GET /api/broken/loop"
    assert "FAILED" in outcome.verdict()
