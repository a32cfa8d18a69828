"""Where processes keep what all of them need and only one should make: Redis, and a file beside.

What lies there is encrypted and authenticated with the service's secret: who can read Redis can
read no credential from it, and who can write to it can forge none. Redis may be wiped or away at
any moment, so everything is kept twice: a process that finds nothing in Redis looks into the file,
which the processes of this machine share.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import redis
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers.pacing.quick_redis import impatient

PREFIX = "newszop:credential:"
REDIS_TIMEOUT_S = 0.3
LOCK_S = 15
"""How long the maker of something may take before another may try."""
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class Shelf:
    """Small encrypted values by name, and a lock for each."""

    def __init__(self, secret: str, client: redis.Redis, folder: Path | None = None) -> None:
        self._redis = impatient(client, REDIS_TIMEOUT_S)
        self._fernet = Fernet(_derive(secret))
        self._secret = secret
        self._folder = folder or Path(tempfile.gettempdir()) / f"newszop-{os.getuid()}"

    def read(self, name: str) -> bytes | None:
        """Return the value; None when there is none, or none of ours."""
        place = self._place(name)
        for kept in (self._from_redis(place), self._from_file(place)):
            with contextlib.suppress(InvalidToken):
                if kept is not None:
                    return self._fernet.decrypt(kept)
        return None

    def write(self, name: str, value: bytes, seconds: int) -> None:
        """Keep the value for that long, wherever it can be kept."""
        place = self._place(name)
        kept = self._fernet.encrypt(value)
        with contextlib.suppress(redis.RedisError):
            self._redis.set(PREFIX + place, kept, ex=max(seconds, 1))
        with contextlib.suppress(OSError):
            self._to_file(place, kept)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Give True to one process at a time: of all while Redis is there, else of this machine."""
        place = f"{PREFIX}lock:{self._place(name)}"
        mine = secrets.token_hex(8)
        try:
            got = bool(self._redis.set(place, mine, nx=True, ex=LOCK_S))
        except redis.RedisError:
            with self._file_lock(name) as got_file:
                yield got_file
            return
        try:
            yield got
        finally:
            if got:
                with contextlib.suppress(redis.RedisError):
                    self._redis.eval(_RELEASE, 1, place, mine)

    def _place(self, name: str) -> str:
        """Return a name that tells nothing, and that another secret's processes do not share."""
        return hashlib.blake2b(
            name.encode(), key=self._secret.encode()[:64], digest_size=16
        ).hexdigest()

    def _from_redis(self, place: str) -> bytes | None:
        try:
            return cast("bytes | None", self._redis.get(PREFIX + place))
        except redis.RedisError:
            return None

    def _from_file(self, place: str) -> bytes | None:
        try:
            return (self._own_folder() / place).read_bytes()
        except OSError:
            return None

    def _to_file(self, place: str, kept: bytes) -> None:
        folder = self._own_folder()
        part = folder / f"{place}.{os.getpid()}"
        part.write_bytes(kept)
        part.replace(folder / place)

    def _own_folder(self) -> Path:
        """Return the folder, which nobody else may look into; raises OSError when it is not so."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self._folder.is_symlink() or self._folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._folder} belongs to somebody else")
        return self._folder

    @contextlib.contextmanager
    def _file_lock(self, name: str) -> Iterator[bool]:
        try:
            held = (self._own_folder() / f"{self._place(name)}.lock").open("wb")
        except OSError:
            yield True  # no place to meet the others: then each for itself
            return
        with held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True


def _derive(secret: str) -> bytes:
    key = HKDF(SHA256(), 32, salt=None, info=b"newszop credentials").derive(secret.encode())
    return base64.urlsafe_b64encode(key)
