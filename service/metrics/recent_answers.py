"""Answers to monitoring that cost a query: at most a second old, worked out once at a time.

Anybody may ask these as often as they like, past all slots. So those who ask at once share one
answer, what is worked out runs in threads of its own, and a flood costs no more than one question a
second.
"""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread

FRESH_S = 1.0
"""How old an answer may be, counted from when it was there."""
MOST_AT_ONCE = 4
"""Threads for all questions; there are four: readiness, and the metrics, whole or in part."""


@dataclass(slots=True)
class _Question:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: Any = None
    answered_at: float = float("-inf")


@dataclass(slots=True)
class RecentAnswers:
    """The last answer to each question of one process; the questions are ours, so they are few."""

    fresh_s: float = FRESH_S
    _questions: dict[Hashable, _Question] = field(default_factory=dict)
    _threads: anyio.CapacityLimiter = field(
        default_factory=lambda: anyio.CapacityLimiter(MOST_AT_ONCE)
    )

    async def ask(self, name: Hashable, work_out: Callable[[], Any]) -> Any:
        """Return what `work_out` returned within the last second, or returns now in a thread.

        What it raises is raised to one caller; the next one tries again.
        """
        question = self._questions.setdefault(name, _Question())
        if time.monotonic() - question.answered_at < self.fresh_s:
            return question.answer
        asked_at = time.monotonic()
        async with question.lock:
            if question.answered_at < asked_at:  # else somebody's answer came while this one waited
                question.answer = await anyio.to_thread.run_sync(work_out, limiter=self._threads)
                question.answered_at = time.monotonic()
            return question.answer
