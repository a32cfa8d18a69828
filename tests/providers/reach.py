"""How far an answer reaches: one alone, and a hundred of the same while nothing is accepted."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.domain.delivery import effects_of
from service.domain.effect import (
    Effect,
    EndAlert,
    EndAlertAtOrigin,
    HoldOrigin,
    HoldProvider,
    MintCredential,
    PauseOrigin,
    PauseProvider,
    ThrottleProvider,
)
from service.domain.evidence import ONE_SERVER, Evidence, judge, judge_rate
from service.domain.verdict import Accepted, Verdict
from tests.providers import examples
from workers.provider import Provider

README = Path(__file__).parents[2] / "workers" / "providers" / "README.md"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCOPES = {
    "device": (),
    "origin": (EndAlertAtOrigin, HoldOrigin, PauseOrigin),
    "alert": (EndAlert,),
    "provider": (HoldProvider, MintCredential, PauseProvider, ThrottleProvider),
}
"""The scopes from the nearest to the furthest, by the effects that reach so far. `alert` is this
alert at this provider."""
ORIGIN = "https://push.example"


def scope_of(provider: Provider, verdict: Verdict, count: int = 1) -> str:
    """Return how far `count` answers of this verdict reach."""
    evidence = Evidence(uses_origins=provider.guard is not None)
    origin = ORIGIN if evidence.uses_origins else ONE_SERVER
    evidence.count_acceptance(ORIGIN + ":8443")  # another origin does accept
    evidence.clear_rate()
    effects: list[Effect | None] = list(effects_of(verdict, NOW))
    if not isinstance(verdict, Accepted):
        for _ in range(count):
            evidence.count(verdict, origin)
        effects.append(judge(evidence, verdict, origin, provider.name))
    effects.append(judge_rate(evidence))
    return max(map(_scope_of_effect, effects), key=list(SCOPES).index, default="device")


def _scope_of_effect(effect: Effect | None) -> str:
    return next((scope for scope, kinds in SCOPES.items() if isinstance(effect, kinds)), "device")


def scope_table(tables: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """Return the README's table: the answers of each provider by verdict and scope."""
    lines = [
        "| provider | verdict | reaches | a hundred, none accepted | answers |",
        "|---|---|---|---|---|",
    ]
    for provider, rows in sorted(tables.items()):
        groups: dict[tuple[str, str, str], list[str]] = {}
        for row in rows:
            scope = row["scope"]
            doubt = ", doubtful" if row.get("doubtful") else ""
            group = (f"`{row['verdict']}`{doubt}", scope, row.get("together", scope))
            answers = groups.setdefault(group, [])
            if (label := _label(row)) not in answers:
                answers.append(label)
        for (verdict, scope, together), answers in sorted(groups.items()):
            listed = ", ".join(answers)
            lines.append(f"| {provider} | {verdict} | {scope} | {together} | {listed} |")
    return lines


def _label(row: Mapping[str, Any]) -> str:
    windows = row.get("headers", {}).get("x-wns-status", "").lower()
    word = row.get("reason") or windows
    return f"{row['status']} {word}".strip()


if __name__ == "__main__":
    tables = {name: table["answers"] for name, table in examples.TABLES.items()}
    sys.stdout.write("\n".join(scope_table(tables)) + "\n")
