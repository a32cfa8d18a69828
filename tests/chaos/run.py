"""One chaos run: several alerts, a seeded schedule of faults, and the verdict on all of it."""

import secrets
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psycopg

from tests.chaos import checker, schedule
from tests.chaos.faults import Faults, environment
from tests.chaos.sampler import Sampler
from tests.journeys.people import People
from tests.system import System

WEATHER = {"share": {"503": 0.02, "429": 0.01}, "retry_after": 1, "latency_ms": 60}
HEAL_S = 60.0
PROCESSES = 2
WINDOW = 3 * 1000 * (PROCESSES + 1)
"""No more than this can be in flight in all sending processes at any moment."""


@dataclass
class Sent:
    """A story's chain of alerts: the first and what an editor did to it."""

    kind: str
    ids: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """What a run prints."""

    seed: int
    findings: checker.Findings
    faults: list[schedule.Fault]
    skipped: set[str]
    alerts: int
    recoveries: list[float]

    @property
    def bound(self) -> int:
        """The most pushes that the faults of this run may have doubled."""
        return WINDOW * sum(1 for fault in self.faults if fault.name in schedule.CAN_PUSH_TWICE)

    def zeros(self) -> dict[str, int]:
        """Return what must be zero."""
        found = self.findings
        return {
            "lost": found.lost,
            "unaccounted": found.unaccounted,
            "on a screen twice": found.on_a_screen_twice,
            "last text is not the newest": found.wrong_text,
            "sent again after its acceptance was flushed": found.sent_again,
        }

    def lines(self) -> list[str]:
        """Return the report."""
        found = self.findings
        counted: dict[str, int] = {}
        for fault in self.faults:
            counted[fault.name] = counted.get(fault.name, 0) + 1
        names = ", ".join(f"{name} x{n}" for name, n in sorted(counted.items()))
        times = self.recoveries or [0.0]
        return [
            f"seed {self.seed}: {len(self.faults)} faults ({names})",
            *(f"  skipped on this machine: {name}" for name in sorted(self.skipped)),
            f"  alerts {self.alerts}, deliveries {found.devices}, pushes {found.pushes}",
            *(f"  {name}: {n}" for name, n in self.zeros().items()),
            f"  pushed twice: {self.findings.pushed_twice} (bound {self.bound})",
            f"  time to recover: median {median(times):.1f} s, longest {max(times):.1f} s",
            *(f"  note: {note}" for note in self.findings.notes[:20]),
        ]


class Chaos:
    """A run of `seconds` with an audience of `devices`."""

    def __init__(self, seed: int, seconds: float, devices: int, every_s: float = 6.0) -> None:
        self.seed = seed
        self.seconds = seconds
        self.devices = devices
        self.every_s = every_s
        self.sent: list[Sent] = []
        self.ends: list[float] = []

    def run(self) -> Outcome:
        """Start everything, let it happen, heal, wait and judge."""
        with tempfile.TemporaryDirectory(prefix="newszop-chaos-") as folder:
            clock = Path(folder) / "clock"
            settings = {"NEWSZOP_LEASE_S": "8"} | environment(clock)
            with System(processes=PROCESSES, **settings) as self.system:
                self.people = People(self.system)
                half = self.devices // 2
                self.people.crowd({"apns": half, "fcm": self.devices - half})
                self.system.weather(**WEATHER, seed=self.seed)
                return self._happen(Faults(self.system, clock))

    def _happen(self, faults: Faults) -> Outcome:
        sampler = Sampler(self.system.servers.database_url)
        sampler.start()
        self.begun = time.monotonic()
        editor = threading.Thread(target=self._edit, daemon=True)
        editor.start()
        done = [
            f for f in schedule.faults(self.seed, self.seconds, self.every_s) if self._do(faults, f)
        ]
        editor.join(self.seconds + HEAL_S)
        assert not editor.is_alive(), "the editor still waits for an answer"
        self._await_end()
        sampler.finish()
        return Outcome(
            seed=self.seed,
            findings=self._judge(sampler),
            faults=done,
            skipped=faults.skipped,
            alerts=sum(len(sent.ids) for sent in self.sent),
            recoveries=self._recoveries(sampler),
        )

    def _do(self, faults: Faults, fault: schedule.Fault) -> bool:
        time.sleep(max(self.begun + fault.at_s - time.monotonic(), 0))
        did = faults.do(fault)
        if did:
            self.ends.append(time.time())
        return did

    # ---- the editor, who wants an answer and asks until there is one -------------------------

    def _edit(self) -> None:
        for sending in schedule.sendings(self.seed, self.seconds, self.every_s * 1.5):
            time.sleep(max(self.begun + sending.at_s - time.monotonic(), 0))
            self._send(sending)

    def _send(self, sending: schedule.Sending) -> None:
        story = {
            "headline": "First word",
            "summary": "s",
            "body": "b",
            "topics": [self.people.topic],
            "source_uri": f"chaos:{secrets.token_hex(8)}",
        }
        story_id = self._insist("POST", "/api/stories", story)["id"]
        urgency = "breaking" if sending.kind == "breaking" else "normal"
        first = self._insist("POST", f"/api/stories/{story_id}/alerts", {"urgency": urgency})
        sent = Sent(sending.kind, [first["id"]])
        self.sent.append(sent)
        if sending.kind in ("plain", "breaking"):
            return
        self._await_share(first["id"], sending.turn_at)
        path = f"/api/alerts/{first['id']}"
        if sending.kind == "stopped":
            self._insist("POST", f"{path}/stop", None)
        elif sending.kind == "withdrawn":
            words = {"title": "Withdrawn", "body": "We were wrong."}
            sent.ids.append(self._insist("POST", f"{path}/withdraw", words)["id"])
        else:
            words = {"title": "Second word", "body": "s", "update": True}
            again = self._insist("POST", f"/api/stories/{story_id}/alerts", words)
            sent.ids.append(again["id"])

    def _insist(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Ask until it is done: the same key makes a repeated request the same request."""
        key = secrets.token_hex(8)
        until = time.monotonic() + self.seconds + HEAL_S
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

    def _await_share(self, alert_id: str, share: float) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            report = self._insist("GET", f"/api/alerts/{alert_id}", None)
            if report["totals"]["accepted"] >= share * self.devices:
                return
            time.sleep(0.1)

    # ---- the end -------------------------------------------------------------------------------

    def _await_end(self) -> None:
        ids = [alert_id for sent in self.sent for alert_id in sent.ids]

        def ended() -> bool:
            with psycopg.connect(self.system.servers.database_url) as connection:
                row = connection.execute(
                    "SELECT count(*) FROM alert WHERE id = ANY(%s) AND NOT settled",
                    ([int(i) for i in ids],),
                ).fetchone()
            return row is not None and row[0] == 0

        try:
            self.system.await_true(ended, "every alert has ended", HEAL_S)
        except AssertionError as error:
            self.unended = str(error)
        else:
            self.unended = ""

    def _judge(self, sampler: Sampler) -> checker.Findings:
        total = checker.Findings()
        with psycopg.connect(self.system.servers.database_url) as connection:
            if self.unended:
                total.notes += [self.unended, *self._what_waits(connection)]
            for sent in self.sent:
                self._judge_chain(connection, sent, sampler, total)
        return total

    def _what_waits(self, connection: psycopg.Connection) -> list[str]:
        rows = connection.execute(
            "SELECT b.alert_id, b.provider, b.lease_token IS NOT NULL, r.why, count(*), "
            "min(r.due_at - now()), min(b.claimable_at - now()) FROM batch b LEFT JOIN retry r "
            "USING (alert_id, shard_n, n) WHERE b.finished_at IS NULL GROUP BY 1, 2, 3, 4"
        )
        return [f"waits: {row}" for row in rows]

    def _judge_chain(
        self,
        connection: psycopg.Connection,
        sent: Sent,
        sampler: Sampler,
        total: checker.Findings,
    ) -> None:
        members = []
        states: dict[int, str] = {}
        wanted = checker.audience(connection, int(sent.ids[0]))
        for n, alert_id in enumerate(sent.ids):
            states = checker.ledger(connection, int(alert_id))
            got = checker.pushes(self.system.control, int(alert_id))
            members.append(got)
            flushed = {
                device: at
                for (alert, device), at in sampler.accepted_by.items()
                if alert == int(alert_id)
            }
            due = wanted if n == 0 or sent.kind == "corrected" else {d: wanted[d] for d in states}
            found = checker.judge(due, states, got, flushed)
            if any(found.__dict__[name] for name in ("lost", "unaccounted", "sent_again")):
                found.notes.append(f"{sent.kind} alert {alert_id} ({n}): {found}")
            total.add(found)
        if len(members) > 1:
            total.wrong_text += checker.judge_chain(members, states, wanted)

    def _recoveries(self, sampler: Sampler) -> list[float]:
        """Return, for each fault, the seconds from its end to the next acceptance on record."""
        found = []
        for end in self.ends:
            before = [n for at, n in sampler.series if at <= end]
            later = [at for at, n in sampler.series if at > end and n > (before or [0])[-1]]
            following = [other for other in self.ends if other > end]
            if later and not (following and later[0] > following[0]):
                found.append(later[0] - end)
        return found
