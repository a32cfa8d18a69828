"""The application: settings -> engine, broker, Redis -> routers -> error table.

Endpoints are plain functions and run in threads. A request gets a slot before a thread or a
connection (`http/admission.py`), and every slot has both, so no request waits while it holds one.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.orm import configure_mappers
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware

from service import settings as settings_module
from service import web
from service.actions.operations.alarm_watch import AlarmWatch
from service.api import (
    admin,
    alert_events,
    alerts,
    apps,
    dead_letters,
    devices,
    health,
    hooks,
    ingest,
    logins,
    people,
    readers,
    receipts,
    sources,
    stories,
    subscriptions,
    topics,
    websub,
)
from service.api.media import picture_uploads
from service.api.reports import alert_reports, history_reports, month_tables, provider_reports
from service.broker.message_queues import open_queues
from service.hot.hot_calls import HotCalls
from service.hot.hot_routes import GROUPS, HotRoutes
from service.http import api_document, problems
from service.http.admission import Admission, AdmitRequest
from service.http.answer_headers import AnswerHeaders
from service.http.auth import KeyCache, is_known
from service.http.body_deadline import BodyDeadline
from service.http.body_limit import LimitBody
from service.http.cross_origin import AllowSites, site_origins
from service.http.forwarded import TrustProxies
from service.http.head_requests import AnswerHead
from service.http.limits.rate_limit import Throttle
from service.http.metrics import Requests
from service.http.observed_requests import ObserveRequests
from service.logs import configure_logging
from service.metrics import definitions
from service.metrics.recent_answers import RecentAnswers
from service.outbox import CeleryBroker
from service.settings import Settings
from service.store.replica import Replica, open_replica
from service.store.session import open_engine
from service.tracing.spans import close_tracing, configure_tracing

BROKER_TIMEOUT_S = 1.0
NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own would read the environment six times a request; we have metrics of our own."""
SWITCH_S = 0.001
"""How long a thread waits for another one that computes. Python's 5 ms would be most of the time of
a call: the event loop and the threads that ask Postgres take turns several times for each."""
ABOUT = """\
A story comes in, an editor sends its alert, every follower's device has it.
What an app does, call by call: [/docs/start](/docs/start).

Machines send `Authorization: Bearer nzp_...`; readers send the token of `POST /api/readers`.
Every id is a string, every time RFC 3339 with its offset, every list `{"items", "next"}`, every
refusal RFC 9457 `application/problem+json`.
"""
_ROUTERS = (
    health.router,
    stories.router,
    picture_uploads.router,
    ingest.router,
    hooks.router,
    sources.router,
    websub.router,
    topics.router,
    alerts.router,
    receipts.router,
    readers.router,
    devices.router,
    logins.router,
    subscriptions.router,
    admin.router,
    apps.router,
    apps.web_router,
    people.router,
    dead_letters.router,
    history_reports.router,
    alert_reports.router,
    month_tables.router,
    provider_reports.router,
)


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Nothing connects before the first request."""
    registry, throttle = CollectorRegistry(), Throttle(settings.redis_url)
    engine, broker = _open_engine(settings), CeleryBroker(settings.broker)
    hot = HotRoutes(settings, engine, throttle)
    requests, is_https = Requests(registry), settings.public_url.startswith("https://")
    app = FastAPIOffline(
        title=f"{settings.site_name} Push",
        description=ABOUT,
        version=version("newszop"),
        redoc_url=None,
        static_url="/docs/files",
        responses=problems.DOCUMENTED,
        generate_unique_id_function=api_document.operation_id,
        lifespan=_lifespan,
        dependencies=[AdmitRequest],
        redirect_slashes=False,  # it would redirect to whatever host the caller names
        middleware=_middleware(settings, requests, is_https=is_https),
        telemetry=NO_TELEMETRY,
    )
    app.state.settings, app.state.engine, app.state.broker = settings, engine, broker
    app.state.replica = _open_replica(settings, registry)
    app.state.queues = open_queues(settings.broker, BROKER_TIMEOUT_S)
    app.state.shared_redis = (
        open_queues(settings.redis_url, BROKER_TIMEOUT_S) if settings.broker_url else None
    )
    app.state.registry, app.state.hot, app.state.tallies = registry, hot, requests.tallies
    app.state.key_cache, app.state.admission = KeyCache(), Admission(settings.db_pool)
    app.state.site_origins = site_origins(engine)
    app.state.alert_watches = alert_events.open_watches(engine, settings.public_url)
    app.state.throttle, app.state.recent_answers = throttle, RecentAnswers()
    problems.install(app)
    for router in _ROUTERS:
        router.add_to(app)
    web.mount(app)
    api_document.install(app)
    behind = app.build_middleware_stack()
    app.middleware_stack = HotCalls(behind, hot.routes, requests, hot.turns, is_https=is_https)
    return app


def _open_engine(settings: Settings) -> Engine:
    return open_engine(
        settings.database_url, pool_size=settings.db_pool, extra=GROUPS, pooler=settings.db_pooler
    )


def _open_replica(settings: Settings, registry: CollectorRegistry) -> Replica:
    reads = definitions.REPLICA_READS.count(registry)
    return open_replica(
        settings.database_replica_url,
        pool_size=settings.db_pool,
        pooler=settings.db_pooler,
        note=lambda source: reads.labels(source).inc(),
    )


def _middleware(settings: Settings, requests: Requests, *, is_https: bool) -> list[Middleware]:
    """Return what every other request passes, the first of them first."""
    return [
        Middleware(AnswerHead),
        Middleware(TrustProxies, networks=settings.trusted_proxies),
        Middleware(ObserveRequests, requests=requests, log_requests=settings.log_requests),
        Middleware(AnswerHeaders, is_https=is_https),
        Middleware(AllowSites),
        # the stack's own is outside of all, and its answer would have none of their headers
        Middleware(ServerErrorMiddleware, handler=problems.answer_fault),
        Middleware(LimitBody, is_known=is_known),
        Middleware(BodyDeadline),
    ]


def from_environment() -> FastAPI:
    """Build the application from the environment, as the server asks for it."""
    settings = settings_module.load()
    sys.setswitchinterval(SWITCH_S)
    configure_logging(settings.log_level, settings.log_format)
    configure_tracing(settings, "api")
    configure_mappers()  # the first request would wait for it, 0.1 s
    return create_app(settings)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _threads(app.state.settings)
    app.state.broker.prepare()
    alarms = AlarmWatch(app.state.settings, app.state.engine, app.state.broker)
    alarms.start()
    yield
    app.state.hot.close()
    app.state.tallies.close()
    alarms.stop()
    app.state.engine.dispose()
    app.state.replica.close()
    app.state.queues.close()
    close_tracing()


def _threads(settings: Settings) -> int:
    """Return how many connections the engine opens at most: two for every slot."""
    return 2 * settings.db_pool
