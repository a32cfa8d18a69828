"""The editors: each sends an alert, may act on it again, and repeats calls until they succeed."""

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.schedule import Sending
from tests.journeys.people import People
from tests.system import System

SIMULTANEOUS = 4
"""Alerts to a few devices that are sent, and end, at the same moment."""
REPLAYS = 3
LOOK_S = 0.05
SELDOM_S = 0.5
MAX_EDITORS = 32
ANSWER_S = 180.0
"""How long a call may be repeated: three times as long as the longest fault."""
STORY = {"headline": "First word", "summary": "s", "body": "b"}
ENDED = ("finished", "stopped", "expired")


@dataclass
class AlertChain:
    """The alerts about one story: the first, and the ones that correct or withdraw it."""

    kind: str
    ids: list[str] = field(default_factory=list)


class Editors:
    """One editor per alert. `crowd` and `few` are the followers of two topics.

    `timeout_s` seconds after the start they stop waiting for what alerts reach.
    """

    def __init__(self, system: System, crowd: People, few: People, timeout_s: float) -> None:
        self.system = system
        self.crowd = crowd
        self.few = few
        self.deadline = time.monotonic() + timeout_s
        self.chains: list[AlertChain] = []

    def work(self, sendings: Sequence[Sending]) -> list[str]:
        """Send everything at its time; return what went wrong, once all have their answers."""
        start = time.monotonic()
        with ThreadPoolExecutor(MAX_EDITORS) as pool:
            futures: list[Future[None]] = []
            for sending in sendings:
                time.sleep(max(start + sending.at_s - time.monotonic(), 0))
                count = SIMULTANEOUS if sending.kind == "replayed" else 1
                futures += [pool.submit(self._send, sending) for _ in range(count)]
            failures = [future.exception() for future in futures]
        return [f"an editor gave up: {failure}" for failure in failures if failure is not None]

    def _send(self, sending: Sending) -> None:
        replayed = sending.kind == "replayed"
        topic = (self.few if replayed else self.crowd).topic
        story = STORY | {"topics": [topic], "source_uri": f"chaos:{secrets.token_hex(8)}"}
        story_id = self._call_until_done("POST", "/api/stories", story)["id"]
        urgency = "breaking" if sending.kind == "breaking" else "normal"
        first = self._call_until_done(
            "POST", f"/api/stories/{story_id}/alerts", {"urgency": urgency}
        )
        chain = AlertChain(sending.kind, [first["id"]])
        self.chains.append(chain)
        path = f"/api/alerts/{first['id']}"
        if replayed:
            self._replay_at_end(path, sending.act_at)
        elif sending.kind not in ("plain", "breaking"):
            self._await(path, lambda report: _accepted_share(report) >= sending.act_at)
            self._act_again(chain, story_id, path)

    def _act_again(self, chain: AlertChain, story_id: str, path: str) -> None:
        if chain.kind == "stopped":
            self._call_until_done("POST", f"{path}/stop", None)
        elif chain.kind == "withdrawn":
            words = {"title": "Withdrawn", "body": "We were wrong."}
            chain.ids.append(self._call_until_done("POST", f"{path}/withdraw", words)["id"])
        else:
            words = {"title": "Second word", "body": "s", "update": True}
            again = self._call_until_done("POST", f"/api/stories/{story_id}/alerts", words)
            chain.ids.append(again["id"])

    def _replay_at_end(self, path: str, act_at: float) -> None:
        """Replay what was refused, at the moment at which the alert ends."""
        for _ in range(REPLAYS):
            self._await(
                path, lambda report: report["totals"]["planned"] and not _open_deliveries(report)
            )
            time.sleep(act_at / 2)
            self._call_until_done("POST", f"{path}/replay", None)

    def _await(self, path: str, is_reached: Any) -> None:
        """Look again and again, more seldom the longer it takes: many who wait are a load."""
        began_at = time.monotonic()
        while time.monotonic() < self.deadline:
            report = self._call_until_done("GET", path, None)
            if is_reached(report) or report["state"] in ENDED:
                return
            waited_s = time.monotonic() - began_at
            time.sleep(min(max(waited_s / 40, LOOK_S), SELDOM_S))

    def _call_until_done(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Repeat the call until it succeeds; its key makes the repetitions one request."""
        key, until = secrets.token_hex(8), time.monotonic() + ANSWER_S
        while time.monotonic() < until:
            try:
                answer = self.system.api.request(
                    method, path, json=body, headers={"Idempotency-Key": key}, timeout=20
                )
            except httpx.TransportError:
                time.sleep(0.3)
                continue
            if answer.is_success:
                return dict(answer.json())
            assert answer.status_code >= 500, f"{path}: {answer.status_code} {answer.text}"
            time.sleep(0.3)
        raise AssertionError(f"no answer to {method} {path}")


def _accepted_share(report: dict[str, Any]) -> float:
    totals = report["totals"]
    return float(totals["accepted"] / totals["planned"]) if totals["planned"] else 0.0


def _open_deliveries(report: dict[str, Any]) -> int:
    return int(report["totals"]["pending"] + report["totals"]["retrying"])
