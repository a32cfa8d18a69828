"""Whether the broker works: it must take a write, an answer alone is not enough."""

import redis

_KEY = "newszop:write-check"
_KEPT_S = 60


def takes_writes(client: redis.Redis) -> bool:
    """Try a write. A replica, or a primary without its replicas or its disk, answers and refuses.

    So it is for minutes while a managed Redis fails over.
    """
    try:
        return bool(client.set(_KEY, 1, ex=_KEPT_S))
    except redis.RedisError:
        return False
