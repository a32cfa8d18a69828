"""What the doctor says of PostgreSQL, of Redis, and of the address that alerts link to."""

from collections.abc import Iterator

import redis
from sqlalchemy.exc import SQLAlchemyError

from service.outbox import try_write
from service.settings import LOCAL_URL, Settings
from service.store import migrate
from workers.upkeep.finding import Finding

REDIS_TIMEOUT_S = 3.0


def examine_servers(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each server, and one for the site's address when it is not set."""
    yield _examine_postgres(settings)
    yield _examine_redis(settings)
    if settings.public_url == LOCAL_URL and not settings.demo:
        sentence = f"NEWSZOP_PUBLIC_URL is not set: alerts would link to {LOCAL_URL}."
        yield Finding("site", False, sentence)


def _examine_postgres(settings: Settings) -> Finding:
    try:
        pending = migrate.pending(settings.database_url, pooler=settings.db_pooler)
    except SQLAlchemyError as error:
        return Finding("postgres", False, f"DATABASE_URL: it cannot be reached: {_cause(error)}")
    if pending:
        return Finding("postgres", False, "Its schema is another: run newszop migrate.")
    return Finding("postgres", True, "It answers, with the present schema.")


def _examine_redis(settings: Settings) -> Finding:
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
    )
    try:
        with client:
            try_write(client)
    except redis.ResponseError as error:
        return Finding("redis", False, f"REDIS_URL: it takes no writes: {error}")
    except redis.RedisError as error:
        return Finding("redis", False, f"REDIS_URL: it cannot be reached: {error}")
    return Finding("redis", True, "It answers and takes writes.")


def _cause(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
