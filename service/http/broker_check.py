"""Whether the broker works: it must take a write, an answer alone is not enough."""

import redis

from service.outbox import try_write


def takes_writes(client: redis.Redis) -> bool:
    """Try a write. A replica, or a primary without its replicas or its disk, answers and refuses.

    So it is for minutes while a managed Redis fails over.
    """
    try:
        try_write(client)
    except redis.RedisError:
        return False
    return True
