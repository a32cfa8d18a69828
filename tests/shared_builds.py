"""Applications of one test process share what takes long to build and is the same in all of them.

Each test has an application of its own, and Jinja compiles a page when it is first shown. The page
knows nothing of the application, which stands in its globals. The OpenAPI document knows the site's
name and address, and takes 0.7 s. SQLAlchemy compiles a statement once for each engine, and Celery
makes its own tasks once for each application: both are a tenth of most tests. A connection to
PostgreSQL takes 10 ms for its process and what it caches, so it outlives its application too.
"""

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from unittest import mock

from fastapi import FastAPI
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine

from service import app as application
from service.metrics.recent_answers import RecentAnswers
from service.outbox import CeleryBroker
from service.settings import Settings
from service.store.session import open_engine

_templates: dict[str, bytes] = {}
_documents: dict[tuple[str, str], dict[str, Any]] = {}
_settings: dict[object, Settings] = {}
_engines: dict[object, Engine] = {}
_brokers: dict[str, CeleryBroker] = {}


class CompiledTemplates(BytecodeCache):
    """Templates that were compiled in this process, by name and source."""

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in _templates:
            bucket.bytecode_from_string(_templates[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        _templates[bucket.key] = bucket.bytecode_to_string()


def build_settings(**values: Any) -> Settings:
    """Return settings of these values and this environment; they are frozen, so built once."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    key = repr(sorted(values.items())), frozenset(environment.items())
    if key not in _settings:
        _settings[key] = Settings(_env_file=None, **values)
    return _settings[key]


def shared_engine(url: str, **options: Any) -> Engine:
    """Return the engine of these options; its connections serve one application after another."""
    key = url, repr(sorted(options.items()))
    if key not in _engines:
        _engines[key] = open_engine(url, **options)
    return _engines[key]


def build_app(settings: Settings) -> FastAPI:
    """Build an application with what an earlier one has built."""
    with mock.patch.object(application, "open_engine", shared_engine):
        app = application.create_app(settings)
    app.state.broker = _brokers.setdefault(settings.broker, app.state.broker)
    app.state.renderer.env.bytecode_cache = CompiledTemplates()
    app.state.recent_answers = RecentAnswers(fresh_s=0)
    build, key = app.openapi, (app.title, app.state.settings.public_url)

    def document() -> dict[str, Any]:
        if key not in _documents:
            _documents[key] = build()
        return _documents[key]

    app.openapi = document
    app.router.lifespan_context = keep_connections(app.router.lifespan_context)
    return app


def keep_connections(lifespan: Any) -> Any:
    """Return this lifespan without the end of the engine, which belongs to other applications."""

    @asynccontextmanager
    async def keeping(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            async with lifespan(app):
                yield
                stack.enter_context(mock.patch.object(app.state.engine, "dispose"))

    return keeping
