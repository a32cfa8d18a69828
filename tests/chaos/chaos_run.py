"""One chaos run: several alerts, a seeded schedule of faults, and a check of the result."""

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.chaos import answered_calls, checker, delayed_commits, duplicate_pushes, schedule
from tests.chaos.editors import AlertChain, Editors
from tests.chaos.faults import LEASE_S, Faults, environment
from tests.chaos.outcome import Outcome
from tests.chaos.readers_at_work import PAUSE_S, TOPIC, ReadersAtWork
from tests.chaos.redis_monitor import RedisMonitor
from tests.chaos.sampler import Sampler
from tests.hosts.second_host import second_host_if_possible
from tests.journeys.people import People
from tests.system import System

RECOVERY_TIMEOUT_S = 120.0
"""How long the alerts may take to end after the last fault, besides the time that faults took: what
was sent meanwhile has piled up."""
REFUSED_PHONES = 20


def _pace(seconds: float) -> float:
    """Return how much rarer alerts are than faults.

    In a long run partitions keep three of four minutes' pushes back: a machine of two cores could
    never catch up with more.
    """
    return 1.5 if seconds < schedule.LONG_S else 3.0


class ChaosRun:
    """A run of `seconds` with an audience of `devices`, and the faults in `fault_names`.

    Each client of the readers' rests `reader_pause_s` between its calls.
    """

    def __init__(
        self,
        seed: int,
        seconds: float,
        devices: int,
        every_s: float = 6.0,
        fault_names: Sequence[str] = schedule.FAULTS,
        reader_pause_s: float = PAUSE_S,
    ) -> None:
        self.seed = seed
        self.reader_pause_s = reader_pause_s
        self.seconds = seconds
        self.devices = devices
        self.sendings = schedule.plan_sendings(seed, seconds, every_s * _pace(seconds))
        self.faults = schedule.plan_faults(seed, seconds, every_s, fault_names)
        self.recovery_s = RECOVERY_TIMEOUT_S + sum(fault.lasts_s for fault in self.faults)

    def run(self) -> Outcome:
        """Start everything, let it happen, wait for recovery, and check the result."""
        with tempfile.TemporaryDirectory(prefix="newszop-chaos-") as folder:
            clock = Path(folder) / "clock"
            settings = {"NEWSZOP_LEASE_S": str(LEASE_S)} | environment(clock)
            with (
                second_host_if_possible() as second_host,
                System(
                    processes=duplicate_pushes.SENDING_PROCESSES["worker"],
                    second_host=second_host,
                    **settings,
                ) as self.system,
            ):
                delayed_commits.install(self.system.servers.database_url)
                return self._run_with(Faults(self.system, clock, self.seed))

    def _run_with(self, faults: Faults) -> Outcome:
        few, addresses = self._add_followers(self.devices // 10)
        faults.refuse(addresses[:REFUSED_PHONES])
        editors = Editors(
            self.system,
            crowd=self._add_followers(self.devices)[0],
            few=few,
            timeout_s=self.seconds + self.recovery_s,
        )
        readers = ReadersAtWork(self.system, self.seed, self.reader_pause_s)
        servers = self.system.servers
        sampler = Sampler(servers.database_url)
        monitor = RedisMonitor(servers.redis_url, servers.database_url)
        for worker in (sampler, monitor, readers):
            worker.start()
        complaints = self._run_faults(faults, editors)
        chains = editors.chains
        waits = self._await_end(chains)
        answered, of_readers = readers.finish()
        for thread in (sampler, monitor):
            thread.finish()
        findings = self._check(chains, sampler)
        self._check_answered(answered, readers.alert_id, findings)
        findings.notes[:0] = complaints + waits + of_readers
        return Outcome(
            seed=self.seed,
            findings=findings,
            faults=faults.spans,
            skipped=faults.skipped,
            alerts=sum(len(chain.ids) for chain in chains),
            messages=monitor.messages,
            early=monitor.early,
            recoveries=_recovery_times(sampler, [fault.end for fault in faults.spans]),
        )

    def _add_followers(self, devices: int) -> tuple[People, list[str]]:
        """Add the followers of a new topic; return them and their addresses, Apple's first."""
        people = People(self.system)
        half = devices // 2
        return people, people.crowd({"apns": half, "fcm": devices - half})

    def _run_faults(self, faults: Faults, editors: Editors) -> list[str]:
        """Let the editors work and the faults happen; return the editors' complaints."""
        complaints: list[str] = []
        editors_thread = threading.Thread(
            target=lambda: complaints.extend(editors.work(self.sendings)), daemon=True
        )
        start = time.monotonic()
        editors_thread.start()
        for fault in self.faults:
            time.sleep(max(start + fault.at_s - time.monotonic(), 0))
            faults.run(fault)
        editors_thread.join(self.seconds + 2 * self.recovery_s)
        return ["an editor still waits for an answer"] if editors_thread.is_alive() else complaints

    # ---- the result ----------------------------------------------------------------------------

    def _await_end(self, chains: Sequence[AlertChain]) -> list[str]:
        """Wait until every alert has ended; return what still waits after the timeout."""
        try:
            self.system.await_true(
                lambda: self._count_ended(chains) == sum(len(chain.ids) for chain in chains),
                "every alert has ended",
                self.recovery_s,
            )
        except AssertionError as error:
            return [str(error), *self._list_waiting()]
        return []

    def _count_ended(self, chains: Sequence[AlertChain]) -> int:
        """Count the alerts that have ended; one that does not exist never ends."""
        ids = [int(alert_id) for chain in chains for alert_id in chain.ids]
        with psycopg.connect(self.system.servers.database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM alert WHERE id = ANY(%s) AND settled", (ids,)
            ).fetchone()
        return int(row[0]) if row else 0

    def _list_waiting(self) -> list[str]:
        with psycopg.connect(self.system.servers.database_url) as connection:
            rows = connection.execute(
                "SELECT b.alert_id, b.provider, b.lease_token IS NOT NULL, r.why, count(*), "
                "min(r.due_at - now()), min(b.claimable_at - now()) FROM batch b LEFT JOIN retry r "
                "USING (alert_id, shard_n, n) WHERE b.finished_at IS NULL GROUP BY 1, 2, 3, 4"
            ).fetchall()
        return [f"waits: {row}" for row in rows]

    def _check(self, chains: Sequence[AlertChain], sampler: Sampler) -> checker.Findings:
        total = checker.Findings()
        with psycopg.connect(self.system.servers.database_url) as connection:
            for chain in chains:
                self._check_chain(connection, chain, sampler, total)
            total.forgotten_devices = checker.count_forgotten_devices(connection)
        total.never_ended = sum(len(chain.ids) for chain in chains) - self._count_ended(chains)
        return total

    def _check_answered(
        self, answered: answered_calls.AnsweredCalls, alert_id: int, total: checker.Findings
    ) -> None:
        """Compare what readers were answered with what is on record."""
        receipts = self.system.alert({"id": str(alert_id)})["receipts"]
        with psycopg.connect(self.system.servers.database_url) as connection:
            rows = answered_calls.read_effects(connection, answered, alert_id, TOPIC)
        counts = (receipts["shown"], receipts["opened"])
        differences = answered_calls.compare(answered, rows, counts)
        total.answered_calls = answered.calls
        total.missing_effects = differences.missing
        total.surplus_receipts = differences.surplus_receipts

    def _check_chain(
        self,
        connection: psycopg.Connection,
        chain: AlertChain,
        sampler: Sampler,
        total: checker.Findings,
    ) -> None:
        alerts = []
        states: dict[int, str] = {}
        audience = checker.find_audience(connection, int(chain.ids[0]))
        for n, alert_id in enumerate(chain.ids):
            states = checker.delivery_states(connection, int(alert_id))
            received = checker.list_pushes(self.system.control, int(alert_id))
            alerts.append(received)
            whole = n == 0 or chain.kind == "corrected"
            due = audience if whole else {d: audience[d] for d in states}
            recorded = sampler.acceptances_of(int(alert_id))
            findings = checker.check_alert(due, states, received, recorded)
            if findings.needs_note:
                summary = findings.summary()
                findings.notes.append(f"{chain.kind} alert {alert_id} ({n}): {summary}")
            total.add(findings)
        if len(alerts) > 1:
            total.wrong_text += checker.count_outdated(alerts, states, audience)


def _recovery_times(sampler: Sampler, ends: Sequence[float]) -> list[float]:
    """Return, for each fault, the seconds from its end to the next acceptance on record."""
    times = []
    for end in ends:
        before = [n for at, n in sampler.series if at <= end]
        later = [at for at, n in sampler.series if at > end and n > (before or [0])[-1]]
        following = [other for other in ends if other > end]
        if later and not (following and later[0] > following[0]):
            times.append(later[0] - end)
    return times
