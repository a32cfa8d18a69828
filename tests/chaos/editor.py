"""The editors: each sends an alert, changes their mind about it, and insists on an answer."""

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

VOLLEY = 4
"""Alerts to few devices that are sent, and come to their ends, at the same moment."""
REPLAYS = 3
AT_ONCE = 32
STORY = {"headline": "First word", "summary": "s", "body": "b"}
ENDED = ("finished", "stopped", "expired")


@dataclass
class Sent:
    """A story's chain of alerts: the first and what an editor did to it."""

    kind: str
    ids: list[str] = field(default_factory=list)


class Editors:
    """As many editors as there are alerts. `crowd` and `few` are the followers of two topics.

    `patience_s` seconds after this was made, all of them give up.
    """

    def __init__(self, system: System, crowd: People, few: People, patience_s: float) -> None:
        self.system = system
        self.crowd = crowd
        self.few = few
        self.until = time.monotonic() + patience_s
        self.sent: list[Sent] = []

    def work(self, sendings: Sequence[Sending]) -> list[str]:
        """Send everything in its time; returns what went wrong, once all have their answers."""
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            at_work: list[Future[None]] = []
            for sending in sendings:
                time.sleep(max(begun + sending.at_s - time.monotonic(), 0))
                several = VOLLEY if sending.kind == "replayed" else 1
                at_work += [pool.submit(self._send, sending) for _ in range(several)]
            failures = [editor.exception() for editor in at_work]
        return [f"an editor gave up: {failure}" for failure in failures if failure is not None]

    def _send(self, sending: Sending) -> None:
        replayed = sending.kind == "replayed"
        topic = (self.few if replayed else self.crowd).topic
        story = STORY | {"topics": [topic], "source_uri": f"chaos:{secrets.token_hex(8)}"}
        story_id = self._insist("POST", "/api/stories", story)["id"]
        urgency = "breaking" if sending.kind == "breaking" else "normal"
        first = self._insist("POST", f"/api/stories/{story_id}/alerts", {"urgency": urgency})
        sent = Sent(sending.kind, [first["id"]])
        self.sent.append(sent)
        path = f"/api/alerts/{first['id']}"
        if replayed:
            self._replay_at_the_end(path, sending.turn_at)
        elif sending.kind not in ("plain", "breaking"):
            self._await(path, lambda report: _share(report) >= sending.turn_at)
            self._change_mind(sent, story_id, path)

    def _change_mind(self, sent: Sent, story_id: str, path: str) -> None:
        if sent.kind == "stopped":
            self._insist("POST", f"{path}/stop", None)
        elif sent.kind == "withdrawn":
            words = {"title": "Withdrawn", "body": "We were wrong."}
            sent.ids.append(self._insist("POST", f"{path}/withdraw", words)["id"])
        else:
            words = {"title": "Second word", "body": "s", "update": True}
            again = self._insist("POST", f"/api/stories/{story_id}/alerts", words)
            sent.ids.append(again["id"])

    def _replay_at_the_end(self, path: str, turn_at: float) -> None:
        """Ask for what was refused once more in the very moment in which the alert ends."""
        for _ in range(REPLAYS):
            self._await(path, lambda report: report["totals"]["planned"] and not _open(report))
            time.sleep(turn_at / 2)
            self._insist("POST", f"{path}/replay", None)

    def _await(self, path: str, wanted: Any) -> None:
        while time.monotonic() < self.until:
            report = self._insist("GET", path, None)
            if wanted(report) or report["state"] in ENDED:
                return
            time.sleep(0.05)

    def _insist(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Ask until it is done: the same key makes a repeated request the same request."""
        key = secrets.token_hex(8)
        while time.monotonic() < self.until:
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


def _share(report: dict[str, Any]) -> float:
    totals = report["totals"]
    return float(totals["accepted"] / totals["planned"]) if totals["planned"] else 0.0


def _open(report: dict[str, Any]) -> int:
    return int(report["totals"]["pending"] + report["totals"]["retrying"])
