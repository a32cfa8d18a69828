"""Placeholder."""

from collections.abc import Iterable


class Rates:
    def __init__(self, client, providers) -> None: ...
    def take(self, name: str, wanted: int, now: float) -> int:
        return wanted

    def wait(self, name: str) -> float:
        return 0.0

    def slow(self, name: str, seconds: float) -> None: ...
