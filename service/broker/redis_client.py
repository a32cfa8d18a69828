"""Opens a client of Redis by its address: of one server, or of the primary that Sentinels name."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from service.server_addresses import is_sentinel, parse_sentinel

SENTINEL_TIMEOUT_S = 0.5
"""How long one Sentinel may take to say where the primary is; then the next one is asked."""


def open_redis(url: str, timeout_s: float, **options: Any) -> redis.Redis:
    """Return a client whose calls take about `timeout_s` at most. Nothing connects before use.

    `options` are those of `redis.Redis`. Of Sentinels every new connection asks where the primary
    is, so that a failover needs no restart.
    """
    values: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    } | options
    if not is_sentinel(url):
        return redis.Redis.from_url(url, **values)
    address = parse_sentinel(url)
    sentinels = Sentinel(
        list(address.hosts),
        sentinel_kwargs={
            "socket_timeout": min(timeout_s, SENTINEL_TIMEOUT_S),
            "socket_connect_timeout": min(timeout_s, SENTINEL_TIMEOUT_S),
            "password": address.sentinel_password,
            "retry": Retry(NoBackoff(), 0),
        },
        db=address.database,
        username=address.user,
        password=address.password,
    )  # type: ignore[no-untyped-call]  # it has no types
    client: redis.Redis = sentinels.master_for(address.master, **values)  # type: ignore[no-untyped-call]  # the same
    return client


def with_short_timeouts(client: redis.Redis, timeout_s: float) -> redis.Redis:
    """Return a client for the same Redis that gives up after `timeout_s` and does not retry.

    The usual client's retries, with their growing pauses, can stop a worker for many seconds.
    """
    pool = client.connection_pool
    values: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
    if isinstance(pool, SentinelConnectionPool):
        primary: redis.Redis = pool.sentinel_manager.master_for(pool.service_name, **values)
        return primary
    options = {
        name: value for name, value in pool.connection_kwargs.items() if name in _CONNECTION_OPTIONS
    }
    return redis.Redis(
        connection_pool=redis.ConnectionPool(
            connection_class=pool.connection_class, **values, **options
        )
    )


_CONNECTION_OPTIONS = (
    "host",
    "port",
    "db",
    "username",
    "password",
    "path",
    "ssl_ca_certs",
    "ssl_cert_reqs",
)
