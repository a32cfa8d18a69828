"""Which sending processes of this host have died: each keeps a locked file while it lives.

The kernel releases the lock when the process ends, however it ends, and no sooner. A worker that
can lock another's file knows that it is dead, and ends its leases: its batches go on at once, not
when `NEWSZOP_LEASE_S` is over. A process that is slow, stopped or cut off keeps its lock.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.settings import Settings
from service.store.deliveries import lease_tokens
from service.store.session import limit_lock_waits, open_engine, transaction

log = structlog.get_logger()

EVERY_S = 1.0
LOCK_WAIT_S = 0.2
"""How long a batch is waited for that somebody holds: the next look comes in a second."""
_SEEN = ".dead"
"""What is added to the name of a dead process's file after the first look."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SenderLock:
    """This process's number as a holder of leases, and the locked file that says it lives.

    Without a folder, or where it cannot be written, there is no file: leases run out by themselves.
    """

    def __init__(self, folder: Path | None) -> None:
        self.holder = lease_tokens.new_holder()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        if folder is not None:
            try:
                self._lock(_folder_of_this_boot(folder))
            except OSError as error:
                log.warning("no lock of this process", folder=str(folder), error=error.strerror)

    def _lock(self, folder: Path) -> None:
        """Lock a file before it has its name: nobody finds it unlocked while we live."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / str(self.holder)
        unnamed = folder / f"{self.holder}.new"
        self._file = unnamed.open("wb")
        _lock(self._file.fileno())
        unnamed.rename(self._path)

    def close(self) -> None:
        """Let go of the file: what this process held it has given back."""
        if self._file is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


def end_leases_of_dead(folder: Path, engine: Engine) -> int:
    """End the leases of this host's dead senders; returns how many batches are free by it.

    A file is removed the second time: a claim that had left before its process died may commit a
    moment after we looked. What fails is tried again with the next look.
    """
    batches = 0
    for path in _files(_folder_of_this_boot(folder)):
        with suppress(OSError, SQLAlchemyError), path.open("r+b") as file:
            if not _lock(file.fileno()):
                continue
            try:
                batches += _end_leases(path, engine)
            finally:  # also of a process that was forked just now, which has the file as well
                fcntl.flock(file, fcntl.LOCK_UN)
    return batches


def _end_leases(path: Path, engine: Engine) -> int:
    with transaction(engine) as session:
        limit_lock_waits(session, LOCK_WAIT_S)
        ended = lease_tokens.end_leases(session, int(path.stem))
    if path.suffix:
        path.unlink(missing_ok=True)
    else:
        path.rename(path.with_suffix(_SEEN))
        log.warning("a sending process has died", batches=ended)
    return ended


def watch_forever(settings: Settings, folder: Path) -> None:
    """Look again and again until the process ends; while the database is away, try again."""
    engine = open_engine(
        settings.database_url, pool_size=1, name="newszop-senders", pooler=settings.db_pooler
    )
    while True:
        with suppress(SQLAlchemyError, OSError):
            end_leases_of_dead(folder, engine)
        time.sleep(EVERY_S)


def _lock(file: int) -> bool:
    """Lock an open file until it is closed; False while another process has it locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _files(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.removesuffix(_SEEN).isdecimal():
                yield Path(entry.path)


def _folder_of_this_boot(folder: Path) -> Path:
    """Return where the locks of this kernel are; of those of another we know nothing."""
    try:
        return folder / _BOOT.read_text().strip()
    except OSError:
        return folder / "boot"
