"""How much was asked of the stand-ins, and what came of it."""

import time
from collections import Counter
from typing import Any

SECONDS_KEPT = 3600


class Traffic:
    """Requests by provider and status, and those answered with success second by second."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again at nothing."""
        self._answers: Counter[tuple[str, int | str]] = Counter()
        self._seconds: dict[int, Counter[str]] = {}

    def note(self, provider: str, outcome: int | str) -> None:
        """Count one request and its status, or the fate it met instead."""
        self._answers[(provider, outcome)] += 1
        if isinstance(outcome, int) and outcome < 300:  # noqa: PLR2004  # success
            second = int(time.time())
            counted = self._seconds.get(second)
            if counted is None:
                counted = self._seconds[second] = Counter()
                if len(self._seconds) > SECONDS_KEPT:
                    del self._seconds[next(iter(self._seconds))]
            counted[provider] += 1

    def report(self) -> dict[str, Any]:
        """Return the counts as the control API shows them."""
        answers: dict[str, dict[str, int]] = {}
        for (provider, outcome), count in sorted(self._answers.items(), key=str):
            answers.setdefault(provider, {})[str(outcome)] = count
        series = [{"second": second, **counted} for second, counted in self._seconds.items()]
        return {"answers": answers, "succeeded": series}
