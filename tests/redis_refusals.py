"""The ways in which a Redis that is there refuses every write; each returns what mends it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

Refuse = Callable[[redis.Redis], Callable[[], object]]
SAVE_TIMEOUT_S = 5.0


def refuse_as_a_replica(client: redis.Redis) -> Callable[[], object]:
    """Answer READONLY, as the old primary of a failover does."""
    client.replicaof("127.0.0.1", 1)
    return lambda: client.replicaof("NO", "ONE")


def refuse_without_replicas(client: redis.Redis) -> Callable[[], object]:
    """Answer NOREPLICAS, as a primary that has lost its replicas does."""
    client.config_set("min-replicas-to-write", 1)
    return lambda: client.config_set("min-replicas-to-write", 0)


def refuse_without_a_disk(client: redis.Redis) -> Callable[[], object]:
    """Answer MISCONF, as a server that cannot save does."""
    settings = client.config_get("dir")
    folder = Path(settings.get("dir") or settings[b"dir"].decode())
    client.config_set("save", "3600 1")
    shutil.rmtree(folder)
    client.bgsave()
    deadline = time.monotonic() + SAVE_TIMEOUT_S
    while client.info("persistence")["rdb_last_bgsave_status"] != "err":
        assert time.monotonic() < deadline, "it can still save"
        time.sleep(0.05)

    def save_again() -> None:
        folder.mkdir()
        client.config_set("save", "")

    return save_again


REFUSALS: tuple[Refuse, ...] = (
    refuse_as_a_replica,
    refuse_without_replicas,
    refuse_without_a_disk,
)


@contextmanager
def refusal(client: redis.Redis, refuse: Refuse) -> Iterator[None]:
    """Have the server refuse every write in the block."""
    mend = refuse(client)
    try:
        yield
    finally:
        mend()
