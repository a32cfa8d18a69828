"""The way to Postgres: the engine, and the one place where a transaction begins and ends."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    exc,
    make_url,
    text,
)
from sqlmodel import Session

from service.store import liveness

DATABASE_AWAY = (exc.OperationalError, exc.InternalError, exc.InterfaceError, exc.TimeoutError)
"""What is raised while Postgres is away, restarts or takes no writes: worth another try."""

CONNECT_TIMEOUT_S = 3
POOL_TIMEOUT_S = 3
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 10_000
IDLE_TRANSACTION_TIMEOUT_MS = 15_000
SILENCE_TIMEOUT_MS = 10_000
KEEPALIVE = {"idle": 5, "interval": 2, "count": 3}
"""A peer that is silent for 5 s is asked every 2 s; after three questions it is gone."""

_SESSION_SETTINGS: dict[str, int | str] = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_TRANSACTION_TIMEOUT_MS,
    "timezone": "UTC",
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
}
"""By name, in milliseconds: how long a session may take for one statement, wait for one lock, and
stay idle in a transaction before the server ends it and frees its locks."""

_SERVER_KEEPALIVE = {f"tcp_keepalives_{name}": value for name, value in KEEPALIVE.items()} | {
    "tcp_user_timeout": SILENCE_TIMEOUT_MS
}
"""What the server does about a host that vanished: without this it keeps its locks for hours."""


def open_engine(
    url: str,
    *,
    pool_size: int = 8,
    extra: int = 0,
    name: str = "newszop",
    pooler: bool = False,
    ping_after_s: float = 0.0,
) -> Engine:
    """Return an engine on `url` (a libpq URL). Nothing connects until it is used.

    It has at most twice `pool_size` connections, and `extra` ones. A connection is tried before
    each use, but not where it was heard within `ping_after_s`.
    A statement ends after 15 s, so that no request and no worker hangs on a lock for ever. A
    server too frozen to end it is noticed by `liveness` after about four seconds. A host of ours
    that vanishes loses its locks after 11 s, by the server's keepalives. Plans are made for the
    values at hand: a topic that ten readers follow and one that a million follow want different
    ones. None is compiled: our statements are over before a compiler is.

    The URL may name several hosts, with `target_session_attrs=read-write` for the one that is the
    primary by then. A server that has become read-only is left, with all connections to it.

    Behind a transaction pooler (`pooler`) a session belongs to others too: it takes no options at
    the start and keeps no prepared statement, and each transaction sets its limits for itself.
    """
    engine = create_engine(
        engine_url(url),
        pool_size=pool_size,
        max_overflow=pool_size + extra,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text must not carry an address or a token
        connect_args=_connect_arguments(name, pooler=pooler),
    )
    if pooler:
        event.listen(engine, "begin", _set_limits)
    event.listen(engine, "handle_error", _leave_read_only_server)
    liveness.watch(engine, ping_after_s)
    return engine


def engine_url(url: str) -> URL:
    """Return a libpq URL as SQLAlchemy takes it: several hosts stand in its query."""
    rest = url.partition("://")[2]
    place = urlsplit(url).netloc
    user, at, hosts = place.rpartition("@")
    if "," not in hosts:
        return make_url(f"postgresql+psycopg://{rest}")
    one = make_url(f"postgresql+psycopg://{rest.replace(place, user + at, 1)}")
    return one.update_query_dict({"host": hosts.split(",")}, append=True)


def _leave_read_only_server(context: ExceptionContext) -> None:
    """Connect again where a server takes no writes any more: it was the primary, and is not now."""
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def _connect_arguments(name: str, *, pooler: bool) -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": name,
        **{f"keepalives_{part}": value for part, value in KEEPALIVE.items()},
        "tcp_user_timeout": SILENCE_TIMEOUT_MS,
        **({"prepare_threshold": None} if pooler else {"options": session_options()}),
    }


def session_options() -> str:
    """Return the options of a session as libpq takes them."""
    settings = _SESSION_SETTINGS | _SERVER_KEEPALIVE
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _set_limits(connection: Connection) -> None:
    """Set the limits of one transaction: the only scope that a transaction pooler leaves us."""
    connection.exec_driver_sql(_settings_statement(_SESSION_SETTINGS))


def _settings_statement(settings: Mapping[str, int | str]) -> str:
    """Return what sets these for one transaction."""
    calls = (f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"SELECT {', '.join(calls)}"


def transaction_limits(engine: Engine, lock_wait_s: float) -> bytes:
    """Return the statement that a transaction begins with which waits so long for any one lock.

    Behind a pooler it sets the other limits too.
    """
    shared = _SESSION_SETTINGS if event.contains(engine, "begin", _set_limits) else {}
    return _settings_statement(shared | {"lock_timeout": round(lock_wait_s * 1000)}).encode()


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Open a session that commits when its block ends and rolls back when it raises."""
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


def limit_lock_waits(session: Session, seconds: float) -> None:
    """Let this transaction wait no longer than that for any one lock."""
    limit = f"{round(seconds * 1000)}ms"
    session.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": limit})


def database_now(session: Session) -> datetime:
    """Return the time of the database's clock, by which every row is judged."""
    now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now
