"""How long an alert stands still after something has happened to the system."""

import time
from typing import Any

import httpx

from tests.system import System

LOOK_S = 0.25


def await_finish(system: System, alert: dict[str, Any], within_s: float) -> float:
    """Wait for the alert's end; return the longest time without an acceptance, as the site says."""
    accepted, last_at, longest, until = -1, time.monotonic(), 0.0, time.monotonic() + within_s
    while time.monotonic() < until:
        time.sleep(LOOK_S)
        try:
            report = system.alert(alert)
        except (httpx.TransportError, AssertionError):
            continue
        now, totals = time.monotonic(), report["totals"]
        if totals["accepted"] > accepted:
            longest = max(longest, now - last_at)
            accepted, last_at = totals["accepted"], now
        if report["state"] == "finished" and not totals["pending"] + totals["retrying"]:
            return longest
    raise AssertionError(f"not finished within {within_s} s: {system.alert(alert)}")
