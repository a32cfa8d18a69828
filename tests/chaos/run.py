"""One chaos run: several alerts, a seeded schedule of faults, and the verdict on all of it."""

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.chaos import checker, doubles, hesitation, schedule
from tests.chaos.eavesdropper import Eavesdropper
from tests.chaos.editor import Editors, Sent
from tests.chaos.faults import LEASE_S, Faults, environment
from tests.chaos.outcome import Outcome
from tests.chaos.sampler import Sampler
from tests.journeys.people import People
from tests.system import System

HEAL_S = 120.0
REFUSED = 20


class Chaos:
    """A run of `seconds` with an audience of `devices`, and faults `among` those named."""

    def __init__(
        self,
        seed: int,
        seconds: float,
        devices: int,
        every_s: float = 6.0,
        among: Sequence[str] = schedule.FAULTS,
    ) -> None:
        self.seed = seed
        self.seconds = seconds
        self.devices = devices
        self.sendings = schedule.sendings(seed, seconds, every_s * 1.5)
        self.faults = schedule.faults(seed, seconds, every_s, among)

    def run(self) -> Outcome:
        """Start everything, let it happen, heal, wait and judge."""
        with tempfile.TemporaryDirectory(prefix="newszop-chaos-") as folder:
            clock = Path(folder) / "clock"
            settings = {"NEWSZOP_LEASE_S": str(LEASE_S)} | environment(clock)
            with System(processes=doubles.PROCESSES["worker"], **settings) as self.system:
                hesitation.install(self.system.servers.database_url)
                return self._happen(Faults(self.system, clock, self.seed))

    def _happen(self, faults: Faults) -> Outcome:
        few, addresses = self._people(self.devices // 10)
        faults.refuse(addresses[:REFUSED])
        editors = Editors(
            self.system,
            crowd=self._people(self.devices)[0],
            few=few,
            patience_s=self.seconds + HEAL_S,
        )
        servers = self.system.servers
        sampler = Sampler(servers.database_url)
        eavesdropper = Eavesdropper(servers.redis_url, servers.database_url)
        for witness in (sampler, eavesdropper):
            witness.start()
        complaints = self._break(faults, editors)
        sent = editors.sent
        waits = self._await_end(sent)
        for witness in (sampler, eavesdropper):
            witness.finish()
        findings = self._judge(sent, sampler)
        findings.notes[:0] = complaints + waits
        return Outcome(
            seed=self.seed,
            findings=findings,
            faults=faults.done,
            skipped=faults.skipped,
            alerts=sum(len(chain.ids) for chain in sent),
            messages=eavesdropper.heard,
            early=eavesdropper.early,
            recoveries=_recoveries(sampler, [fault.ended for fault in faults.done]),
        )

    def _people(self, devices: int) -> tuple[People, list[str]]:
        """Add the followers of a new topic; returns their addresses, Apple's first."""
        people = People(self.system)
        half = devices // 2
        return people, people.crowd({"apns": half, "fcm": devices - half})

    def _break(self, faults: Faults, editors: Editors) -> list[str]:
        """Let the editors work and the faults happen; returns the editors' complaints."""
        complaints: list[str] = []
        desk = threading.Thread(
            target=lambda: complaints.extend(editors.work(self.sendings)), daemon=True
        )
        begun = time.monotonic()
        desk.start()
        for fault in self.faults:
            time.sleep(max(begun + fault.at_s - time.monotonic(), 0))
            faults.do(fault)
        desk.join(self.seconds + 2 * HEAL_S)
        return ["an editor still waits for an answer"] if desk.is_alive() else complaints

    # ---- the end -------------------------------------------------------------------------------

    def _await_end(self, sent: Sequence[Sent]) -> list[str]:
        """Wait until every alert has ended; returns what still waits when that takes too long."""
        try:
            self.system.await_true(
                lambda: self._ended(sent) == sum(len(chain.ids) for chain in sent),
                "every alert has ended",
                HEAL_S,
            )
        except AssertionError as error:
            return [str(error), *self._what_waits()]
        return []

    def _ended(self, sent: Sequence[Sent]) -> int:
        """Count the alerts that have ended; one that is not there at all never will."""
        ids = [int(alert_id) for chain in sent for alert_id in chain.ids]
        with psycopg.connect(self.system.servers.database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM alert WHERE id = ANY(%s) AND settled", (ids,)
            ).fetchone()
        return int(row[0]) if row else 0

    def _what_waits(self) -> list[str]:
        with psycopg.connect(self.system.servers.database_url) as connection:
            rows = connection.execute(
                "SELECT b.alert_id, b.provider, b.lease_token IS NOT NULL, r.why, count(*), "
                "min(r.due_at - now()), min(b.claimable_at - now()) FROM batch b LEFT JOIN retry r "
                "USING (alert_id, shard_n, n) WHERE b.finished_at IS NULL GROUP BY 1, 2, 3, 4"
            ).fetchall()
        return [f"waits: {row}" for row in rows]

    def _judge(self, sent: Sequence[Sent], sampler: Sampler) -> checker.Findings:
        total = checker.Findings()
        with psycopg.connect(self.system.servers.database_url) as connection:
            for chain in sent:
                self._judge_chain(connection, chain, sampler, total)
        total.never_ended = sum(len(chain.ids) for chain in sent) - self._ended(sent)
        return total

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
            due = wanted if n == 0 or sent.kind == "corrected" else {d: wanted[d] for d in states}
            found = checker.judge(due, states, got, sampler.of(int(alert_id)))
            if found.broken:
                found.notes.append(f"{sent.kind} alert {alert_id} ({n}): {found.in_short()}")
            total.add(found)
        if len(members) > 1:
            total.wrong_text += checker.judge_chain(members, states, wanted)


def _recoveries(sampler: Sampler, ends: Sequence[float]) -> list[float]:
    """Return, for each fault, the seconds from its end to the next acceptance on record."""
    found = []
    for end in ends:
        before = [n for at, n in sampler.series if at <= end]
        later = [at for at, n in sampler.series if at > end and n > (before or [0])[-1]]
        following = [other for other in ends if other > end]
        if later and not (following and later[0] > following[0]):
            found.append(later[0] - end)
    return found
