"""For monitoring: alive, ready, and the figures for Prometheus."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import State

from service.actions.outages import find_outages
from service.broker.message_queues import MessageQueues
from service.domain.errors import Unauthenticated, Unavailable
from service.http.api_document import Router
from service.http.dependencies import QueuesDep, SettingsDep
from service.http.limits.call_turn import end_turn
from service.http.metrics import collect_gauges
from service.http.problems import KINDS, problem
from service.metrics import process_files
from service.metrics.recent_answers import RecentAnswers
from service.settings import Settings
from service.store import schema_version
from service.store.operations import gauges
from service.store.session import transaction

router = Router(tags=["health"])


class Ready(BaseModel):
    """What this process checks; `warnings` need a person but leave the site in service."""

    status: str
    missing: list[str] = []
    warnings: list[str] = []


@router.get("/health/live")
async def report_alive() -> dict[str, str]:
    """Answer without any query and without a thread."""
    return {"status": "alive"}


@router.get("/health/ready", response_model=Ready)
async def report_ready(request: Request, queues: QueuesDep, settings: SettingsDep) -> Any:
    """Report whether requests can be served: a 503 names what is missing. At most a second old."""
    state = request.app.state
    recent: RecentAnswers = state.recent_answers
    end_turn(request.scope)
    ready: Ready = await recent.ask("ready", partial(_check_parts, state, queues, settings))
    if ready.missing:
        return problem(
            KINDS[Unavailable],
            f"Missing: {', '.join(ready.missing)}.",
            headers={"Retry-After": "2"},
            missing=ready.missing,
            warnings=ready.warnings,
        )
    return ready


def _check_parts(state: State, queues: MessageQueues, settings: Settings) -> Ready:
    missing = _missing_in_postgres(settings.database_url, pooler=settings.db_pooler)
    if queues.explain_refusal() is not None:
        missing.append(queues.kind)
    warnings = [] if missing else _warnings(state.engine, settings.canary_minutes)
    if state.shared_redis is not None and state.shared_redis.explain_refusal() is not None:
        warnings.append("redis: it is away; each process counts rates and limits for itself")
    return Ready(status="ready", missing=missing, warnings=warnings)


def _missing_in_postgres(url: str, *, pooler: bool) -> list[str]:
    """Check on a connection outside the pool: a busy pool is not a missing database."""
    try:
        return ["migrations"] if schema_version.pending(url, pooler=pooler) else []
    except SQLAlchemyError:
        return ["Postgres"]


def _warnings(engine: Engine, minutes: int) -> list[str]:
    with transaction(engine) as session:
        last = gauges.last_canary(session)
        warnings = find_outages(session)
    if last is None:
        warnings.append("canary: none has come through yet")
    elif datetime.now(UTC) - last > timedelta(minutes=minutes):
        warnings.append(f"canary: the last one came through at {last.isoformat()}")
    return warnings


@router.get("/metrics", include_in_schema=False)
async def report_metrics(
    request: Request,
    queues: QueuesDep,
    settings: SettingsDep,
    only: Literal["processes", "system"] | None = None,
) -> Response:
    """Return the counters of this port's processes and the system's gauges, for Prometheus.

    With `only` the one or the other: every replica has counters of its own, and all have the same
    gauges, so one is enough to ask for these. With `NEWSZOP_METRICS_TOKEN` only to those who send
    it as a Bearer token. The figures are at most a second old.
    """
    _require_token(request, settings.metrics_token)
    state = request.app.state
    recent: RecentAnswers = state.recent_answers
    end_turn(request.scope)
    collect = partial(_collect, state, queues, settings.providers, only)
    text = await recent.ask(("metrics", only), collect)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _collect(
    state: State, queues: MessageQueues, providers: Iterable[str], only: str | None
) -> bytes:
    text = b""
    if only != "system":
        state.tallies.hand_over()
        text += process_files.collect(state.registry)
    if only != "processes":
        text += collect_gauges(state.engine, queues, providers)
    return text


def _require_token(request: Request, token: str) -> None:
    credentials = request.headers.get("Authorization", "")
    if token and not secrets.compare_digest(credentials.encode(), f"Bearer {token}".encode()):
        raise Unauthenticated("Send NEWSZOP_METRICS_TOKEN as a Bearer token.")
