"""Reads what the control API asks the weather to be."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from workers.standins.weather import PROVIDERS, Front, Kind, Roughness, Stroke

MOST_SCRIPTED = 10_000


class BadWeather(ValueError):
    """What was asked for is not weather; the message says why."""


KNOWN = {
    "provider", "address", "script", "share", "latency_ms", "goaway", "streams", "half_close",
    "seed", "retry_after",
}  # fmt: skip


def read_front(asked: Mapping[str, Any]) -> Front:
    """Read a front from the control call's body; raises `BadWeather`."""
    unknown = set(asked) - KNOWN
    if unknown:
        raise BadWeather(f"unknown: {', '.join(sorted(unknown))}")
    provider = asked.get("provider")
    if provider not in (None, *PROVIDERS):
        raise BadWeather(f"provider must be one of {', '.join(PROVIDERS)}")
    address = asked.get("address")
    if address is not None and not isinstance(address, str):
        raise BadWeather("address must be a string")
    return Front(
        provider=provider,
        address=address,
        script=deque(_read_script(asked.get("script") or [])),
        shares=_read_shares(asked.get("share") or {}),
        latency=_number(asked, "latency_ms", 600_000) / 1000,
        roughness=Roughness(
            goaway=_count(asked, "goaway", 100),
            streams=_count(asked, "streams", 100),
            half_close=_count(asked, "half_close", 1),
        ),
        retry_after=_read_wait(asked),
        seed=int(_number(asked, "seed", 2**63)),
    )


def _number(asked: Mapping[str, Any], name: str, most: float) -> float:
    value = asked.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadWeather(f"{name} must be a number from 0 to {most}")
    return value


def _count(asked: Mapping[str, Any], name: str, when_true: int) -> int | None:
    value = asked.get(name)
    if value is None or value is False:
        return None
    if value is True:
        return when_true
    if not isinstance(value, int) or value < 1:
        raise BadWeather(f"{name} must be true, false or a whole number from 1")
    return value


def _read_shares(asked: object) -> tuple[tuple[Kind, float], ...]:
    if not isinstance(asked, dict):
        raise BadWeather("share must be an object of fractions")
    unknown = set(asked) - set(Kind)
    if unknown:
        raise BadWeather(f"share knows {', '.join(Kind)}, not {', '.join(sorted(unknown))}")
    shares: list[tuple[Kind, float]] = []
    end = 0.0
    for kind in Kind:
        part = asked.get(kind, 0)
        if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= 1:
            raise BadWeather(f"share.{kind} must be a fraction from 0 to 1")
        if part:
            end += part
            shares.append((kind, end))
    if end > 1 + 1e-9:
        raise BadWeather("the shares are more than 1 together")
    return tuple(shares)


def _read_script(asked: object) -> Iterable[tuple[Stroke, int]]:
    if not isinstance(asked, list) or len(asked) > MOST_SCRIPTED:
        raise BadWeather(f"script must be a list of at most {MOST_SCRIPTED} answers")
    for entry in asked:
        if not isinstance(entry, dict) or set(entry) - {"status", "body", "retry_after", "count"}:
            raise BadWeather("a scripted answer has status, body, retry_after and count")
        yield _read_stroke(entry), _count(entry, "count", 1) or 1


def _read_stroke(entry: Mapping[str, Any]) -> Stroke:
    status = entry.get("status")
    if status in set(Kind) - {"429", "500", "503"}:
        return Stroke(Kind(str(status)))
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if not isinstance(status, int) or not 200 <= status <= 599:  # noqa: PLR2004  # HTTP's own range
        raise BadWeather(f"status must be 200 to 599 or one of {', '.join(Kind)}")
    body = entry.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    return Stroke(None, status, None if body is None else body.encode(), _read_wait(entry))


def _read_wait(asked: Mapping[str, Any]) -> int | None:
    wait = asked.get("retry_after")
    if wait is not None and (isinstance(wait, bool) or not isinstance(wait, int) or wait < 0):
        raise BadWeather("retry_after must be whole seconds")
    return wait
