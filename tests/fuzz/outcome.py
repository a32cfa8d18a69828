"""What a run saw, and whether that is good."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

LONGEST_PAUSE_S = 0.1
MAX_FAULTS_SHOWN = 20


@dataclass
class Outcome:
    """Answers by route and status, faults, and the longest pause of the event loop."""

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

    @property
    def routes(self) -> dict[str, set[int]]:
        """The statuses that were met, by route."""
        met = defaultdict(set)
        for label, status in self.statuses:
            met[label].add(status)
        return dict(met)

    @property
    def without_success(self) -> list[str]:
        """The routes that nobody could do anything with: their answers are not really tried."""
        return sorted(label for label, met in self.routes.items() if min(met) >= 400)

    def count_fault(self, label: str, kind: str, fault: str) -> None:
        self.faults.append(f"{label} as {kind}: {fault[:500]}")

    def note_pause(self, label: str, seconds: float) -> None:
        if seconds > self.longest_pause_s:
            self.longest_pause_s, self.longest_pause_in = seconds, label

    def verdict(self) -> str:
        classes = Counter(status // 100 for _, status in self.statuses.elements())
        counts = ", ".join(f"{n:,} {name}xx" for name, n in sorted(classes.items()))
        pause = f"{self.longest_pause_s * 1000:.1f} ms in {self.longest_pause_in}"
        limit = f"the limit is {LONGEST_PAUSE_S * 1000:.0f} ms"
        return "\n".join(
            [
                *self.faults[:MAX_FAULTS_SHOWN],
                f"{self.calls:,} calls: {counts}",
                f"routes: {len(self.routes)}, without a success: "
                + (", ".join(self.without_success) or "none"),
                f"longest pause of the event loop: {pause}; {limit}",
                f"faults: {len(self.faults)}",
                "PASSED" if self.is_good else "FAILED",
            ]
        )
