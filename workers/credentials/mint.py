"""A credential as it was minted, and a mint that is under way in a thread of its own."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.verdict import TryLater
from workers.provider import Credential, CredentialRefused

AHEAD = timedelta(minutes=1)
"""How long before its end a credential is replaced, or a tenth of its life if that is shorter."""
RETRY_S = 5.0
"""When to try again to mint ahead of time, after a failure."""


@dataclass(frozen=True, slots=True)
class MintedCredential:
    """A credential and when it was minted; `minted_at` may be the start of its period instead."""

    credential: Credential
    mint_time: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it can be used: also if it is dated in our future, when a clock is wrong."""
        return now < self.credential.fresh_until

    def is_ending(self, now: datetime) -> bool:
        """Whether the next one is to be fetched."""
        end = self.credential.fresh_until
        return now >= end - min(AHEAD, (end - self.mint_time) / 10)

    def dump(self) -> bytes:
        """Return it as bytes."""
        credential = self.credential
        times = (credential.minted_at, credential.fresh_until, self.mint_time)
        return json.dumps([credential.value, *(each.isoformat() for each in times)]).encode()

    @classmethod
    def load(cls, content: bytes) -> "MintedCredential":
        """Read what `dump` wrote."""
        value, *times = json.loads(content)
        minted_at, fresh_until, mint_time = map(datetime.fromisoformat, times)
        return cls(Credential(value, minted_at, fresh_until), mint_time)


class Mint:
    """A mint in a thread of its own, which ends with the process if nothing else ends it."""

    def __init__(self, mint: Callable[[], MintedCredential]) -> None:
        self._mint = mint
        self._record: MintedCredential | None = None
        self._refusal = CredentialRefused(TryLater("the credential could not be fetched"))
        self._ended_at = 0.0
        self._ended = threading.Event()
        try:
            threading.Thread(target=self._run, name="mint", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._end()

    def _run(self) -> None:
        try:
            self._record = self._mint()
        except CredentialRefused as refusal:
            self._refusal = refusal
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller is told
            kind = type(error).__name__
            self._refusal = CredentialRefused(TryLater(f"the credential was not fetched: {kind}"))
        finally:
            self._end()

    def _end(self) -> None:
        self._ended_at = time.monotonic()
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Wait for its end, but no longer than that."""
        self._ended.wait(seconds)

    def has_ended(self) -> bool:
        """Whether there is a result."""
        return self._ended.is_set()

    def has_failed_lately(self) -> bool:
        """Whether it failed, and it is too early to try again."""
        lately = time.monotonic() - self._ended_at < RETRY_S
        return self._ended.is_set() and self._record is None and lately

    def result(self) -> MintedCredential:
        """Return what was minted; raises `CredentialRefused`."""
        if self._record is None:
            raise self._refusal
        return self._record
