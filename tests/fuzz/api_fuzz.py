"""Calls the whole API with what its own document allows and forbids, as each kind of caller.

schemathesis writes the requests from the OpenAPI document; each is sent once by every kind of
caller to the application in this process. Every answer is held to the document, none may be a 5xx,
and the event loop is watched.
"""

import gc
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from tests.fuzz.callers import KINDS, Callers, add_things
from tests.fuzz.loop_pauses import Pauses, watch_pauses
from tests.site_client import SiteClient

LONGEST_PAUSE_S = 0.1
HELD_TO = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
BASE_URL = "http://testserver"
STREAM = "/api/alerts/{alert_id}/events"
"""An alert that a call has just made is never sent here, so its stream would not end."""


@dataclass
class Outcome:
    """What a run saw."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest_pause_s: float = 0.0
    longest_pause_in: str = ""

    @property
    def calls(self) -> int:
        return self.statuses.total()

    @property
    def is_good(self) -> bool:
        return not self.faults and self.longest_pause_s <= LONGEST_PAUSE_S

    def verdict(self) -> str:
        classes = Counter(status // 100 for _, status in self.statuses.elements())
        counts = ", ".join(f"{n:,} {name}xx" for name, n in sorted(classes.items()))
        pause = f"{self.longest_pause_s * 1000:.1f} ms in {self.longest_pause_in}"
        limit = f"the limit is {LONGEST_PAUSE_S * 1000:.0f} ms"
        return "\n".join(
            [
                *self.faults[:20],
                f"{self.calls:,} calls: {counts}",
                f"longest pause of the event loop: {pause}; {limit}",
                f"faults: {len(self.faults)}",
                "PASSED" if self.is_good else "FAILED",
            ]
        )


class ApiFuzz:
    """One application under attack; each round makes new requests for every operation."""

    def __init__(self, app: FastAPI, client: SiteClient, outcome: Outcome) -> None:
        self.client = client
        self.outcome = outcome
        self.callers = Callers(app)
        self.things = add_things(app)
        document = json.loads(client.get("/openapi.json").content)
        self.schema = schemathesis.openapi.from_dict(document)
        self.schema.config.update(base_url=BASE_URL)

    def excluded(self, case: Any) -> list[Any]:
        """Return no check, but for the stream: the document knows it as text, not by event."""
        is_stream = case.operation.path == STREAM
        return [checks.response_schema_conformance] if is_stream else []

    def operations(self, below: str) -> list[Any]:
        every = (result.ok() for result in self.schema.get_all_operations())
        return [operation for operation in every if operation.path.startswith(below)]

    def attack(self, operation: Any, pauses: Pauses, number: int, examples: int) -> None:
        """Send `examples` requests of one operation, each by every kind of caller."""
        cases = st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, is_known=st.booleans())
        def send(case: Any, is_known: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
            if is_known or operation.path == STREAM:
                names = (case.path_parameters or {}).keys() & self.things.keys()
                case.path_parameters = dict(case.path_parameters or {}) | {
                    name: self.things[name] for name in names
                }
            for kind in KINDS:
                self.call(case, kind)

        gc.collect()
        gc.freeze()  # what the fuzzer keeps is nothing that the application's loop should sweep
        pauses.take_longest()
        send()
        longest = pauses.take_longest()
        if longest > self.outcome.longest_pause_s:
            self.outcome.longest_pause_s, self.outcome.longest_pause_in = longest, operation.label

    def call(self, case: Any, kind: str) -> None:
        """Send one request as one kind of caller, and hold its answer to the document."""
        request = requests.Request(**case.as_transport_kwargs(base_url=BASE_URL)).prepare()
        headers = dict(request.headers) | self.callers.headers(kind)
        answer = self.client.request(
            request.method,
            request.url,
            content=request.body,
            headers=headers,
            follow_redirects=False,
        )
        self.client.cookies.clear()
        label = case.operation.label
        self.outcome.statuses[label, answer.status_code] += 1
        if answer.status_code == 401:
            self.callers.renew(kind)
        if answer.status_code >= 500:
            self.outcome.faults.append(
                f"{label} as {kind}: {answer.status_code} {answer.text[:300]}"
            )
        try:
            case.validate_response(answer, checks=HELD_TO, excluded_checks=self.excluded(case))
        except FailureGroup as failures:
            reasons = "; ".join(f"{fault.title}: {fault.message}" for fault in failures.exceptions)
            self.outcome.faults.append(f"{label} as {kind}: {reasons[:500]}")


def fuzz(
    app: FastAPI,
    *,
    examples: int,
    first_seed: int,
    is_over: Callable[[int], bool],
    below: str = "/",
) -> Outcome:
    """Attack every operation below a path once a round with new requests; return what was seen.

    `is_over` gets the number of whole rounds, before each operation.
    """
    outcome = Outcome()
    caller = ("127.0.0.1", 50_000)
    with SiteClient(app, raise_server_exceptions=False, client=caller) as client:
        attack = ApiFuzz(app, client, outcome)
        operations = attack.operations(below)
        with watch_pauses(client) as pauses:
            for number in count():
                for operation in operations:
                    if is_over(number):
                        return outcome
                    attack.attack(operation, pauses, first_seed + number, examples)
    return outcome
