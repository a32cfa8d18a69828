"""A Redis client with short timeouts and no retries.

The usual client's retries, with their growing pauses, can stop a worker for many seconds. The
callers here can do without Redis when it does not answer at once.
"""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

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


def with_short_timeouts(client: redis.Redis, timeout_s: float) -> redis.Redis:
    """Return a client for the same Redis that gives up after `timeout_s`."""
    pool = client.connection_pool
    options = {
        name: value for name, value in pool.connection_kwargs.items() if name in _CONNECTION_OPTIONS
    }
    return redis.Redis(
        connection_pool=redis.ConnectionPool(
            connection_class=pool.connection_class,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
    )
