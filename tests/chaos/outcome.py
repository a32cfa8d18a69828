"""What a chaos run found, and how it says so."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.chaos import checker, doubles
from tests.chaos.doubles import Span

MOST_NOTES = 20
UNHEARD = 1000
"""One answer in so many may come too late for us where the machine is overloaded."""


@dataclass
class Outcome:
    """What a run prints. `early` are the messages that were on their way before their commit."""

    seed: int
    findings: checker.Findings
    faults: Sequence[Span]
    alerts: int
    messages: int
    early: Sequence[str]
    recoveries: Sequence[float]
    skipped: set[str] = field(default_factory=set)

    @property
    def bound(self) -> int:
        """The most pushes that the faults of this run may have doubled."""
        return sum(fault.bound for fault in self.faults)

    def zeros(self) -> dict[str, int]:
        """Return what must be zero."""
        found = self.findings
        doubled = doubles.judge(found.doubled, self.faults)
        again = doubles.inexcusable(found.sent_again, self.faults)
        return {
            "lost": found.lost,
            "unaccounted": found.unaccounted,
            "never ended": found.never_ended,
            "on a screen twice": found.on_a_screen_twice,
            "last text is not the newest": found.wrong_text,
            "sent again after its acceptance was flushed": again,
            "acceptance flushed, then forgotten": found.forgotten,
            "pushed twice beyond what was in flight": doubled.beyond_bound,
            "pushed twice with nothing to blame": self._unexplained(doubled),
            "messages before their commit": len(self.early),
        }

    def _unexplained(self, doubled: doubles.Verdict) -> int:
        """Count doubles with nothing to blame, but for those of a machine that is out of breath."""
        few = doubled.unexplained * UNHEARD <= self.findings.devices
        return 0 if few else doubled.unexplained

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return not any(self.zeros().values()) and not self.findings.notes

    def lines(self) -> list[str]:
        """Return the report."""
        found = self.findings
        counted = Counter(fault.name for fault in self.faults)
        names = ", ".join(f"{name} x{n}" for name, n in sorted(counted.items()))
        times = self.recoveries or [0.0]
        notes = [*found.notes, *(f"early: {message}" for message in self.early)]
        return [
            f"seed {self.seed}: {len(self.faults)} faults ({names})",
            *(f"  skipped on this machine: {name}" for name in sorted(self.skipped)),
            f"  alerts {self.alerts}, messages {self.messages}",
            f"  deliveries {found.devices}, pushes {found.pushes}",
            *(f"  {name}: {n}" for name, n in self.zeros().items()),
            f"  pushed twice: {len(found.doubled)} (bound {self.bound})",
            f"  time to recover: median {median(times):.1f} s, longest {max(times):.1f} s",
            *(f"  note: {note}" for note in notes[:MOST_NOTES]),
        ]
