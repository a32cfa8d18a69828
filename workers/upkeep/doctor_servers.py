"""What the doctor says of PostgreSQL, the broker, Redis, and the address that alerts link to."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from service.broker.message_queues import open_queues
from service.settings import LOCAL_URL, Settings
from service.store import schema_version
from service.store.replica import log_place, open_replica
from service.store.session import open_engine, transaction
from workers.upkeep.finding import Finding

BROKER_TIMEOUT_S = 3.0
MOST_BYTES_BEHIND = 16 * 1024 * 1024
"""A segment of the log: a replica that is farther behind answers hardly a read."""


def examine_servers(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each server, and one for the site's address when it is not set."""
    yield _examine_postgres(settings)
    if settings.database_replica_url:
        yield _examine_replica(settings)
    yield _examine_queues(
        "broker", "BROKER_URL" if settings.broker_url else "REDIS_URL", settings.broker
    )
    if settings.broker_url:
        yield _examine_queues("redis", "REDIS_URL", settings.redis_url)
    if settings.public_url == LOCAL_URL and not settings.demo:
        sentence = f"NEWSZOP_PUBLIC_URL is not set: alerts would link to {LOCAL_URL}."
        yield Finding("site", False, sentence)


def _examine_postgres(settings: Settings) -> Finding:
    try:
        pending = schema_version.pending(settings.database_url, pooler=settings.db_pooler)
    except SQLAlchemyError as error:
        return Finding("postgres", False, f"DATABASE_URL: it cannot be reached: {_cause(error)}")
    if pending:
        return Finding("postgres", False, "Its schema is another: run newszop migrate.")
    return Finding("postgres", True, "It answers, with the present schema.")


def _examine_replica(settings: Settings) -> Finding:
    replica = open_replica(settings.database_replica_url, pool_size=1, pooler=settings.db_pooler)
    primary = open_engine(settings.database_url, pool_size=1, pooler=settings.db_pooler)
    try:
        with transaction(primary) as session:
            standing = replica.examine(log_place(session))
    except SQLAlchemyError as error:
        return Finding("replica", False, f"DATABASE_REPLICA_URL: {_cause(error)}")
    finally:
        replica.close()
        primary.dispose()
    if standing is None:
        sentence = (
            "DATABASE_REPLICA_URL: this is no streaming replica; the primary is read instead."
        )
        return Finding("replica", False, sentence)
    sentence = f"It is {standing:,} bytes of PostgreSQL's log behind."
    return Finding("replica", standing <= MOST_BYTES_BEHIND, sentence)


def _examine_queues(part: str, setting: str, url: str) -> Finding:
    queues = open_queues(url, BROKER_TIMEOUT_S)
    refusal = queues.explain_refusal()
    queues.close()
    if refusal is not None:
        return Finding(part, False, f"{setting}: {refusal}")
    return Finding(part, True, f"{queues.kind} answers and takes what is written.")


def _cause(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
