"""A worker's heartbeat: one row, renewed every few seconds while the worker can take work."""

import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.settings import Settings
from service.store.operations import heartbeats
from service.store.session import open_engine, transaction
from workers.upkeep.alive_file import touch

log = structlog.get_logger()

EVERY_S = 5.0


def beat_forever(
    settings: Settings, name: str, queues: list[str], read_trouble: Callable[[], str | None]
) -> None:
    """Renew the row until the process ends; while the database is away, keep trying.

    `read_trouble` says why the worker cannot send, where that is so.
    """
    engine = open_engine(
        settings.database_url, pool_size=1, name="newszop-heartbeat", pooler=settings.db_pooler
    )
    while True:
        try:
            with transaction(engine) as session:
                heartbeats.beat(session, name, queues, read_trouble())
            touch(settings.alive_file)
        except SQLAlchemyError as error:
            log.warning("no heartbeat written", error=type(error).__name__)
        time.sleep(EVERY_S)
