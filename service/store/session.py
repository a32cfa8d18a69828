"""The way to Postgres: the engine, and the one place where a transaction begins and ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Engine, create_engine, exc, text
from sqlmodel import Session

from service.store import liveness

DATABASE_AWAY = (exc.OperationalError, exc.InternalError, exc.InterfaceError, exc.TimeoutError)
"""What is raised while Postgres is away, restarts or takes no writes: worth another try."""

CONNECT_TIMEOUT_S = 3
POOL_TIMEOUT_S = 3
STATEMENT_TIMEOUT_MS = 15_000


def open_engine(url: str, *, pool_size: int = 8, name: str = "newszop") -> Engine:
    """Return an engine on `url` (a libpq URL). Nothing connects until it is used.

    A statement ends after 15 s, so that no request and no worker hangs on a lock for ever. A
    server too frozen to end it is noticed by `liveness` after about four seconds. Plans
    are made for the values at hand: a topic that ten readers follow and one that a million follow
    want different ones. None is compiled: our statements are over before a compiler is.
    """
    address = url.replace("postgres://", "postgresql://", 1)
    engine = create_engine(
        address.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text must not carry an address or a token
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": name,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC "
            "-c plan_cache_mode=force_custom_plan -c jit=off",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        },
    )
    liveness.watch(engine)
    return engine


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


def database_now(session: Session) -> datetime:
    """Return the time of the database's clock, by which every row is judged."""
    now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now
