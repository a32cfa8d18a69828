"""Calls the whole API and every page with what they allow and forbid, as each kind of caller.

schemathesis writes the requests of the API from its document, `page_calls` those of the pages, to
the application in this process. Every answer of the API is held to the document, every head to what
all heads have, none may be a 5xx, and the event loop is watched.
"""

import gc
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import httpx
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from tests.fuzz.answer_heads import CREDENTIALS, differs, has_credentials, head_faults, is_storable
from tests.fuzz.callers import KINDS, VISITORS, Callers
from tests.fuzz.loop_pauses import Pauses, watch_pauses
from tests.fuzz.outcome import Outcome
from tests.fuzz.page_calls import BROKEN_BODIES, PageCall, page_calls, values_of
from tests.fuzz.things import add_things, sound_bodies
from tests.site_client import SiteClient

HELD_TO = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
BASE_URL = "http://testserver"
STREAM = "/api/alerts/{alert_id}/events"
"""An alert that a call has just made is never sent here, so its stream would not end."""
SOME = 3
"""Kinds of callers that send one and the same request."""
Target = tuple[str, Callable[[int, int], None]]
"""What is attacked in one go: its name, and what sends so many examples with a seed."""


class ApiFuzz:
    """One application under attack; each round makes new requests for every route."""

    def __init__(self, app: FastAPI, client: SiteClient, outcome: Outcome) -> None:
        self.app = app
        self.client = client
        self.outcome = outcome
        self.callers = Callers(app, client)
        self.things: dict[str, str] = {}
        document = json.loads(client.get("/openapi.json").content)
        self.schema = schemathesis.openapi.from_dict(document)
        self.schema.config.update(base_url=BASE_URL)

    def targets(self, below: str) -> list[Target]:
        """Return every call of the API and of the pages below a path."""
        operations = (result.ok() for result in self.schema.get_all_operations())
        api: list[Target] = [
            (operation.label, partial(self.attack, operation))
            for operation in operations
            if operation.path.startswith(below)
        ]
        pages: list[Target] = [
            (page.label, partial(self.visit, page))
            for page in page_calls(self.app)
            if page.path.startswith(below)
        ]
        return api + pages

    def attack(self, operation: Any, number: int, examples: int) -> None:
        """Send `examples` requests of one operation: the first as every kind, the others as some.

        The first is a sound one about things that there are.
        """
        bodies, turns = sound_bodies(self.things), count()
        cases = st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )

        def send(case: Any, is_known: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
            if is_known or operation.path == STREAM:
                names = (case.path_parameters or {}).keys() & self.things.keys()
                known = {name: self.things[name] for name in names}
                case.path_parameters = dict(case.path_parameters or {}) | known
                case.body = bodies.get((operation.method.upper(), operation.path), case.body)
            for kind in kinds_of(number, next(turns)):
                self.call(case, kind)

        hypothesis_run(send, number, examples, case=cases, is_known=st.sampled_from([True, False]))

    def visit(self, page: PageCall, number: int, examples: int) -> None:
        """Send `examples` requests of one page, each by some kind of visitor."""
        strange = st.sampled_from(BROKEN_BODIES) if page.form else st.none()

        def send(query: Any, form: Any, broken: Any, kind: str, is_known: bool) -> None:  # noqa: FBT001
            options: dict[str, Any] = {"params": query, "headers": self.callers.cookies(kind)}
            if broken is not None:
                type_, options["content"] = broken
                options["headers"] = options["headers"] | {"Content-Type": type_}
            elif page.form:
                options["data"] = form
            address = page.address(self.things if is_known else {})
            self._hold(page.label, kind, page.method, address, options)

        hypothesis_run(
            send,
            number,
            examples,
            query=values_of(page.query, self.things),
            form=values_of(page.form, self.things),
            broken=st.one_of(st.none(), st.none(), st.none(), strange),
            kind=st.sampled_from(VISITORS),
            is_known=st.sampled_from([True, True, True, False]),
        )

    def call(self, case: Any, kind: str) -> None:
        """Send one request as one kind of caller, and hold its answer to the document."""
        request = requests.Request(**case.as_transport_kwargs(base_url=BASE_URL)).prepare()
        headers = dict(request.headers) | self.callers.headers(kind)
        options = {"content": request.body, "headers": headers}
        label = case.operation.label
        answer = self._hold(label, kind, str(request.method), str(request.url), options)
        is_stream = case.operation.path == STREAM  # the document knows it as text, not by event
        excluded = [checks.response_schema_conformance] if is_stream else []
        try:
            case.validate_response(answer, checks=HELD_TO, excluded_checks=excluded)
        except FailureGroup as failures:
            reasons = (f"{fault.title}: {fault.message}" for fault in failures.exceptions)
            self.outcome.count_fault(label, kind, "; ".join(reasons))

    def _hold(
        self, label: str, kind: str, method: str, address: str, options: dict[str, Any]
    ) -> httpx.Response:
        """Send one request; note its answer, and hold its head to what all heads have."""
        answer = self._send(method, address, options)
        to_login = answer.headers.get("location", "").startswith("/login")
        self.outcome.statuses[label, 401 if to_login else answer.status_code] += 1
        if answer.status_code >= 500:
            fault = f"{answer.status_code} {answer.text[:300]} to {address[:200]} {options}"
            self.outcome.count_fault(label, kind, fault)
        faults = head_faults(answer)
        if has_credentials(options["headers"]) and is_storable(answer):
            headers = {n: v for n, v in options["headers"].items() if n.lower() not in CREDENTIALS}
            if method != "GET":
                faults.append("a cache may keep the answer to a secret")
            elif differs(answer, self._send(method, address, options | {"headers": headers})):
                faults.append("a cache may keep what only this caller gets")
        for fault in faults:
            self.outcome.count_fault(label, kind, fault)
        if (to_login or answer.status_code == 401) and self.callers.can_call(kind, address):
            self.callers.renew(kind)
        return answer

    def _send(self, method: str, address: str, options: dict[str, Any]) -> httpx.Response:
        answer = self.client.request(method, address, follow_redirects=False, **options)
        self.client.cookies.clear()
        return answer


def kinds_of(number: int, turn: int) -> Sequence[str]:
    """Return who sends a request: all kinds the first one, a few of them in turn the others."""
    first = (number + turn) * SOME
    return [KINDS[(first + n) % len(KINDS)] for n in range(SOME if turn else len(KINDS))]


def hypothesis_run(
    send: Callable[..., None], number: int, examples: int, **strategies: Any
) -> None:
    """Call `send` with so many examples, the same ones for the same seed."""
    run = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(**strategies)(send))
    seed(number)(run)()


def fuzz(
    app: FastAPI,
    *,
    examples: int,
    first_seed: int,
    is_over: Callable[[int], bool],
    below: str = "/",
) -> Outcome:
    """Attack every route below a path once a round with new requests; return what was seen.

    `is_over` gets the number of whole rounds, before each route.
    """
    outcome = Outcome()
    caller = ("127.0.0.1", 50_000)
    with SiteClient(app, raise_server_exceptions=False, client=caller) as client:
        attack = ApiFuzz(app, client, outcome)
        targets = attack.targets(below)
        with watch_pauses(client) as pauses:
            for number in count():
                for label, send in targets:
                    if is_over(number):
                        return outcome
                    _attack(attack, pauses, label, partial(send, first_seed + number, examples))
    return outcome


def _attack(attack: ApiFuzz, pauses: Pauses, label: str, send: Callable[[], None]) -> None:
    if not attack.things or ("{" in label and not label.startswith("GET")):
        attack.things = add_things(attack.app, attack.callers.headers("reader"))
        gc.collect()
        gc.freeze()  # what the fuzzer keeps is nothing that the application's loop should sweep
    pauses.take_longest()
    send()
    attack.outcome.note_pause(label, pauses.take_longest())
