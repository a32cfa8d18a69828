"""The providers' credentials: each is minted once for a key and period, for all processes.

Providers refuse processes that each mint their own (APNs: 429 TooManyProviderTokenUpdates). So a
credential is minted under a lock and shared, encrypted. Each process also keeps it in memory:
while it is fresh, `get` costs one look-up in a dict.
"""

import json
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import redis

from service.domain.verdict import TryLater
from service.settings import Settings
from workers.credentials.shared_store import SharedStore
from workers.gateway.httpx.exchange import exchange
from workers.gateway.httpx.transport import GuardedTransport
from workers.gateway.trust import TrustStore
from workers.provider import Answer, Credential, CredentialRefused, Provider, Request

REMINT_AFTER = timedelta(minutes=20)
"""The least time between two mints for one key while the first credential is still fresh."""
MINT_TIMEOUT_S = 5.0
OTHER_MINT_WAIT_S = 2.0
"""How long to wait for another process that is minting."""
POLL_S = 0.05
_KEPT_LONGER_S = int(REMINT_AFTER.total_seconds())


@dataclass(frozen=True, slots=True)
class MintedCredential:
    """A credential and when it was minted; `minted_at` may be the start of its period instead."""

    credential: Credential
    mint_time: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it can be used: also if it is dated in our future, when a clock is wrong."""
        return now < self.credential.fresh_until

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


class Credentials:
    """The credentials of this process's providers. `folder` is for the files that are shared."""

    def __init__(
        self, settings: Settings, client: redis.Redis, *, folder: Path | None = None
    ) -> None:
        self._store = SharedStore(settings.secret_key, client, folder)
        self._by_key: dict[str, MintedCredential] = {}
        self._refusals: dict[str, MintedCredential] = {}
        self._ca_file = settings.ca_file
        self._http: httpx.Client | None = None

    def get(self, provider: Provider, now: datetime) -> Credential:
        """Return a fresh credential; raises `CredentialRefused` if there is none."""
        key = provider.credential_key()
        current = self._by_key.get(key)
        if current is None or not current.is_fresh(now):
            current = self._by_key[key] = self._share(provider, key, now)
        return current.credential

    def reject(self, provider: Provider, now: datetime) -> bool:
        """Drop the credential that the provider refused; True if the next one will be another.

        False if it was minted so recently that minting again could only do harm.
        """
        key = provider.credential_key()
        current = self._by_key.get(key)
        if current is None:
            return True
        other = self._read(key)
        if other is not None and other.credential != current.credential and other.is_fresh(now):
            self._by_key[key] = other
            return True
        if now - current.mint_time < REMINT_AFTER:
            return False
        self._refusals[key] = self._by_key.pop(key)
        return True

    def _share(self, provider: Provider, key: str, now: datetime) -> MintedCredential:
        """Return what another process has minted, or mint for all."""
        deadline = time.monotonic() + OTHER_MINT_WAIT_S
        while True:
            if (usable := self._usable(key, now)) is not None:
                return usable
            with self._store.lock(key) as is_holder:
                if is_holder:
                    # Another process may have finished between our reading and our lock.
                    return self._usable(key, now) or self._mint(provider, key, now)
            if time.monotonic() > deadline:
                raise CredentialRefused(
                    TryLater("another process is fetching the credential", blameless=True)
                )
            time.sleep(POLL_S)

    def _usable(self, key: str, now: datetime) -> MintedCredential | None:
        shared = self._read(key)
        if shared is None or not shared.is_fresh(now) or shared == self._refusals.get(key):
            return None
        return shared

    def _read(self, key: str) -> MintedCredential | None:
        content = self._store.read(key)
        return MintedCredential.load(content) if content is not None else None

    def _mint(self, provider: Provider, key: str, now: datetime) -> MintedCredential:
        credential = self._drive(provider.credential(now))
        record = MintedCredential(credential, now)
        life_s = int((credential.fresh_until - now).total_seconds())
        self._store.write(key, record.dump(), life_s + _KEPT_LONGER_S)
        return record

    def _drive(self, minting: Generator[Request, Answer, Credential]) -> Credential:
        """Send the requests that the provider yields until it returns its credential."""
        try:
            request = next(minting)
            while True:
                request = minting.send(exchange(self._client(), request, MINT_TIMEOUT_S))
        except StopIteration as done:
            credential: Credential = done.value
            return credential

    def _client(self) -> httpx.Client:
        if self._http is None:
            context = TrustStore(self._ca_file).context()
            transport = GuardedTransport(context, None)
            self._http = httpx.Client(transport=transport, trust_env=False, follow_redirects=False)
        return self._http
