"""How many requests the stand-ins had, and how they were answered."""

import time
from collections import Counter
from typing import Any

MAX_SECONDS = 3600
"""Seconds for which acceptances are counted one by one."""


class Traffic:
    """Requests by provider and status, and the successful ones second by second."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again at nothing."""
        self._answers: Counter[tuple[str, int | str]] = Counter()
        self._seconds: dict[int, Counter[str]] = {}

    def count(self, provider: str, outcome: int | str) -> None:
        """Count one request by its status, or by the transport failure it met instead."""
        self._answers[(provider, outcome)] += 1
        if isinstance(outcome, int) and outcome < 300:  # noqa: PLR2004  # success
            second = int(time.time())
            counter = self._seconds.get(second)
            if counter is None:
                counter = self._seconds[second] = Counter()
                if len(self._seconds) > MAX_SECONDS:
                    del self._seconds[next(iter(self._seconds))]
            counter[provider] += 1

    def report(self) -> dict[str, Any]:
        """Return the counts as the control API shows them."""
        answers: dict[str, dict[str, int]] = {}
        for (provider, outcome), count in sorted(self._answers.items(), key=str):
            answers.setdefault(provider, {})[str(outcome)] = count
        series = [{"second": second, **counter} for second, counter in self._seconds.items()]
        return {"answers": answers, "succeeded": series}
