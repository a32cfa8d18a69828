"""The result of a chaos run, and its report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.chaos import duplicate_pushes
from tests.chaos.checker import Findings
from tests.chaos.duplicate_pushes import DuplicateCount, FaultSpan

MAX_NOTES = 20
DELIVERIES_PER_LATE_ANSWER = 1000
"""On an overloaded machine one answer in so many may be read too late."""


@dataclass
class Outcome:
    """The result of a run. `early` are the messages that were sent before their commit."""

    seed: int
    findings: Findings
    faults: Sequence[FaultSpan]
    alerts: int
    messages: int
    early: Sequence[str]
    recoveries: Sequence[float]
    skipped: set[str] = field(default_factory=set)

    @property
    def bound(self) -> int:
        """The most pushes that the faults of this run may have duplicated."""
        return sum(fault.bound for fault in self.faults)

    def zeros(self) -> dict[str, int]:
        """Return what must be zero."""
        findings = self.findings
        duplicates = duplicate_pushes.count_unexplained(findings.duplicates, self.faults)
        sent_again = duplicate_pushes.count_inexcusable(findings.sent_again, self.faults)
        return {
            "lost": findings.lost,
            "unaccounted": findings.unaccounted,
            "never ended": findings.never_ended,
            "devices forgotten that answer the next day": findings.forgotten_devices,
            "shown twice": findings.shown_twice,
            "last text is not the newest": findings.wrong_text,
            "sent again after the acceptance was recorded": sent_again,
            "acceptance recorded, then lost": findings.forgotten,
            "pushed twice, more than was in flight": duplicates.beyond_bound,
            "pushed twice without a fault": self._count_unexplained(duplicates),
            "messages sent before their commit": len(self.early),
            "answered calls of readers without their effect": findings.missing_effects,
            "receipts that count twice": findings.surplus_receipts,
        }

    def _count_unexplained(self, duplicates: DuplicateCount) -> int:
        """Count duplicates without a fault, less the allowance for an overloaded machine."""
        allowance = self.findings.devices // DELIVERIES_PER_LATE_ANSWER
        return duplicates.unexplained if duplicates.unexplained > allowance else 0

    @property
    def is_good(self) -> bool:
        """Whether the promise was kept."""
        return not any(self.zeros().values()) and not self.findings.notes

    def lines(self) -> list[str]:
        """Return the report."""
        findings = self.findings
        counts = Counter(fault.name for fault in self.faults)
        names = ", ".join(f"{name} x{n}" for name, n in sorted(counts.items()))
        times = self.recoveries or [0.0]
        notes = [*findings.notes, *(f"early: {message}" for message in self.early)]
        return [
            f"seed {self.seed}: {len(self.faults)} faults ({names})",
            *(f"  skipped on this machine: {name}" for name in sorted(self.skipped)),
            f"  alerts {self.alerts}, messages {self.messages}",
            f"  deliveries {findings.devices}, pushes {findings.pushes}",
            f"  answered calls of readers {findings.answered_calls}",
            *(f"  {name}: {n}" for name, n in self.zeros().items()),
            f"  pushed twice: {len(findings.duplicates)} (bound {self.bound})",
            f"  recovery time: median {median(times):.1f} s, longest {max(times):.1f} s",
            *(f"  note: {note}" for note in notes[:MAX_NOTES]),
            *duplicate_pushes.describe_unexplained(findings.duplicates, self.faults),
        ]
