"""Redis for those who cannot wait for it: short timeouts, no second try.

The client's own retries, with their growing pauses, can hold a worker up for many seconds; what
asks here has another way to go when Redis does not answer at once.
"""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_KEPT = ("host", "port", "db", "username", "password", "path", "ssl_ca_certs", "ssl_cert_reqs")


def impatient(client: redis.Redis, timeout_s: float) -> redis.Redis:
    """Return a client for the same Redis that gives up after `timeout_s`."""
    pool = client.connection_pool
    known = {name: value for name, value in pool.connection_kwargs.items() if name in _KEPT}
    return redis.Redis(
        connection_pool=redis.ConnectionPool(
            connection_class=pool.connection_class,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            **known,
        )
    )
