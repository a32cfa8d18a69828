"""Reads the body of `PUT /control/weather`."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from workers.standins.misbehaviour.faults import ConnectionFaults, Fault, FaultKind
from workers.standins.misbehaviour.settings import PROVIDERS, Misbehaviour

MAX_SCRIPTED = 10_000
MAX_LONG_BODY = 16_777_216
MAX_WINDOW = 2**31 - 1
MAX_BUFFER = 16_777_216
FIELDS = {
    "provider", "address", "script", "share", "latency_ms", "goaway", "streams", "half_close",
    "seed", "retry_after", "early_answers", "long_bodies", "late_window_updates", "send_buffer",
    "receive_buffer",
}  # fmt: skip


class InvalidWeather(ValueError):
    """The body of the control call cannot be used; the message says why."""


def read_misbehaviour(body: Mapping[str, Any]) -> Misbehaviour:
    """Read the body of the control call; raises `InvalidWeather`."""
    unknown = set(body) - FIELDS
    if unknown:
        raise InvalidWeather(f"unknown: {', '.join(sorted(unknown))}")
    provider = body.get("provider")
    if provider not in (None, *PROVIDERS):
        raise InvalidWeather(f"provider must be one of {', '.join(PROVIDERS)}")
    address = body.get("address")
    if address is not None and not isinstance(address, str):
        raise InvalidWeather("address must be a string")
    return Misbehaviour(
        provider=provider,
        address=address,
        script=deque(_read_script(body.get("script") or [])),
        shares=_read_shares(body.get("share") or {}),
        latency_s=_read_number(body, "latency_ms", 600_000) / 1000,
        connection=_read_connection_faults(body),
        retry_after=_read_retry_after(body),
        seed=int(_read_number(body, "seed", 2**63)),
    )


def _read_connection_faults(body: Mapping[str, Any]) -> ConnectionFaults:
    return ConnectionFaults(
        goaway=_read_count(body, "goaway", 100),
        streams=_read_count(body, "streams", 100),
        half_close=_read_count(body, "half_close", 1),
        early_answers=_read_flag(body, "early_answers"),
        long_bodies=_read_count(body, "long_bodies", 65_536, MAX_LONG_BODY),
        late_window_updates=_read_count(body, "late_window_updates", 65_535, MAX_WINDOW),
        send_buffer=_read_count(body, "send_buffer", 4096, MAX_BUFFER),
        receive_buffer=_read_count(body, "receive_buffer", 4096, MAX_BUFFER),
    )


def _read_flag(body: Mapping[str, Any], name: str) -> bool | None:
    """Return True, or None for false and for nothing."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidWeather(f"{name} must be true or false")
    return value or None


def _read_number(body: Mapping[str, Any], name: str, maximum: float) -> float:
    value = body.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise InvalidWeather(f"{name} must be a number from 0 to {maximum}")
    return value


def _read_count(
    body: Mapping[str, Any], name: str, default: int, maximum: int = 2**31 - 1
) -> int | None:
    """Return a number from 1 to `maximum`; `default` for true, None for false and for nothing."""
    value = body.get(name)
    if value is None or value is False:
        return None
    if value is True:
        return default
    if not isinstance(value, int) or not 1 <= value <= maximum:
        raise InvalidWeather(f"{name} must be true, false or a whole number from 1 to {maximum}")
    return value


def _read_shares(shares: object) -> tuple[tuple[FaultKind, float], ...]:
    """Return each kind with the end of its range; the ranges lie side by side from 0."""
    if not isinstance(shares, dict):
        raise InvalidWeather("share must be an object of fractions")
    unknown = set(shares) - set(FaultKind)
    if unknown:
        raise InvalidWeather(
            f"share knows {', '.join(FaultKind)}, not {', '.join(sorted(unknown))}"
        )
    ranges: list[tuple[FaultKind, float]] = []
    end = 0.0
    for kind in FaultKind:
        share = shares.get(kind, 0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InvalidWeather(f"share.{kind} must be a fraction from 0 to 1")
        if share:
            end += share
            ranges.append((kind, end))
    if end > 1 + 1e-9:
        raise InvalidWeather("the shares are more than 1 together")
    return tuple(ranges)


def _read_script(script: object) -> Iterable[tuple[Fault, int]]:
    if not isinstance(script, list) or len(script) > MAX_SCRIPTED:
        raise InvalidWeather(f"script must be a list of at most {MAX_SCRIPTED} answers")
    for entry in script:
        if not isinstance(entry, dict) or set(entry) - {"status", "body", "retry_after", "count"}:
            raise InvalidWeather("a scripted answer has status, body, retry_after and count")
        yield _read_fault(entry), _read_count(entry, "count", 1) or 1


def _read_fault(entry: Mapping[str, Any]) -> Fault:
    status = entry.get("status")
    if status in set(FaultKind) - {"429", "500", "503"}:
        return Fault(FaultKind(str(status)))
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if not isinstance(status, int) or not 200 <= status <= 599:  # noqa: PLR2004  # HTTP's own range
        raise InvalidWeather(f"status must be 200 to 599 or one of {', '.join(FaultKind)}")
    body = entry.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    return Fault(None, status, None if body is None else body.encode(), _read_retry_after(entry))


def _read_retry_after(entry: Mapping[str, Any]) -> int | None:
    seconds = entry.get("retry_after")
    is_seconds = isinstance(seconds, int) and not isinstance(seconds, bool) and seconds >= 0
    if seconds is not None and not is_seconds:
        raise InvalidWeather("retry_after must be whole seconds")
    return seconds
