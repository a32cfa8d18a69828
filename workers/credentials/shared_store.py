"""A store for values that one process makes and all processes need: in Redis and in files.

Values are encrypted and authenticated with the service's secret: read access to Redis reveals no
credential, and write access cannot forge one. Redis may be wiped or unreachable at any
moment, so each value is also kept in a file, which the processes of this machine share.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import redis
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.broker.redis_client import with_short_timeouts

PREFIX = "newszop:credential:"
REDIS_TIMEOUT_S = 0.3
LOCK_S = 15
"""How long a process may hold a lock before another may take it."""


class SharedStore:
    """Small encrypted values by name, and a lock for each name."""

    def __init__(self, secret: str, client: redis.Redis, folder: Path | None = None) -> None:
        self._redis = with_short_timeouts(client, REDIS_TIMEOUT_S)
        self._fernet = Fernet(_derive_key(secret))
        self._secret = secret
        self._folder = folder or Path(tempfile.gettempdir()) / f"newszop-{os.getuid()}"

    def read(self, name: str) -> bytes | None:
        """Return the value; None when there is none that was encrypted with our secret."""
        key = self._hash_name(name)
        for token in (self._read_redis(key), self._read_file(key)):
            with contextlib.suppress(InvalidToken):
                if token is not None:
                    return self._fernet.decrypt(token)
        return None

    def write(self, name: str, value: bytes, seconds: int) -> None:
        """Keep the value for that long, in Redis and in a file, as far as either is there."""
        key = self._hash_name(name)
        token = self._fernet.encrypt(value)
        with contextlib.suppress(redis.RedisError):
            self._redis.set(PREFIX + key, token, ex=max(seconds, 1))
        with contextlib.suppress(OSError):
            self._write_file(key, token)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Yield True in one process at a time, without waiting; in the others False.

        It is one process of all while Redis answers, else one process of this machine.
        """
        key = f"{PREFIX}lock:{self._hash_name(name)}"
        lock = self._redis.lock(key, timeout=LOCK_S, blocking=False)
        try:
            is_holder = lock.acquire()
        except redis.RedisError:
            with self._file_lock(name) as is_holder:
                yield is_holder
            return
        try:
            yield is_holder
        finally:
            if is_holder:
                with contextlib.suppress(redis.RedisError):  # Redis is away, or the lock ran out
                    lock.release()

    def _hash_name(self, name: str) -> str:
        """Return a hash that depends on the secret: services with other secrets never meet."""
        return hashlib.blake2b(
            name.encode(), key=self._secret.encode()[:64], digest_size=16
        ).hexdigest()

    def _read_redis(self, key: str) -> bytes | None:
        try:
            return cast("bytes | None", self._redis.get(PREFIX + key))
        except redis.RedisError:
            return None

    def _read_file(self, key: str) -> bytes | None:
        try:
            return (self._private_folder() / key).read_bytes()
        except OSError:
            return None

    def _write_file(self, key: str, token: bytes) -> None:
        folder = self._private_folder()
        part = folder / f"{key}.{os.getpid()}"
        part.write_bytes(token)
        part.replace(folder / key)

    def _private_folder(self) -> Path:
        """Return the folder that only our user can enter; raises OSError if it is another's."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self._folder.is_symlink() or self._folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._folder} belongs to somebody else")
        return self._folder

    @contextlib.contextmanager
    def _file_lock(self, name: str) -> Iterator[bool]:
        try:
            file = (self._private_folder() / f"{self._hash_name(name)}.lock").open("wb")
        except OSError:
            yield True  # nowhere to meet the other processes: each makes its own
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True


def _derive_key(secret: str) -> bytes:
    key = HKDF(SHA256(), 32, salt=None, info=b"newszop credentials").derive(secret.encode())
    return base64.urlsafe_b64encode(key)
