"""The providers' credentials: each is minted once for a key and period, for all processes.

Providers refuse processes that each mint their own (APNs: 429 TooManyProviderTokenUpdates). So a
credential is minted under a lock and shared, encrypted. Each process also keeps it in memory:
while it is fresh, `get` costs one look-up in a dict.
"""

import time
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import redis

from service.domain.verdict import TryLater
from service.settings import Settings
from workers.credentials.mint import Mint, MintedCredential
from workers.credentials.shared_store import LOCK_S, SharedStore
from workers.gateway.httpx.exchange import exchange
from workers.gateway.httpx.transport import GuardedTransport
from workers.gateway.trust import TrustStore
from workers.provider import Answer, Credential, CredentialRefused, LimitsMints, Provider, Request

REMINT_AFTER = timedelta(seconds=10)
"""The least time between two mints for one key while the first credential is still fresh, where
the provider has no rule of its own (`LimitsMints`)."""
MINT_TIMEOUT_S = 5.0
OTHER_MINT_WAIT_S = 2.0
"""How long to wait for another process that is minting."""
POLL_S = 0.05
PATIENCE_S = 0.1
"""How long the caller that starts a mint waits: enough to sign a token and to share it."""
LOOK_AGAIN = timedelta(seconds=0.25)
"""When to ask again for a credential that is being minted."""
_KEPT_LONGER_S = 20 * 60


class Credentials:
    """The credentials of this process's providers. `folder` is for the files that are shared."""

    def __init__(
        self, settings: Settings, client: redis.Redis, *, folder: Path | None = None
    ) -> None:
        self._store = SharedStore(settings.secret_key, client, folder)
        self._by_key: dict[str, MintedCredential] = {}
        self._refusals: dict[str, MintedCredential] = {}
        self._ca_file = settings.ca_file
        self._trust: TrustStore | None = None
        self._mints: dict[str, Mint] = {}

    def get(self, provider: Provider, now: datetime) -> Credential:
        """Return a fresh credential; raises `CredentialRefused` if there is none, or none yet.

        It never waits for a token server: a thread does, and the caller goes on with other work. A
        credential that ends soon is used until there is another.
        """
        key = provider.credential_key()
        current = self._by_key.get(key)
        if current is None or current.is_ending(now):
            current = self._renew(provider, key, now, current)
        return current.credential

    def obtain(self, provider: Provider, now: datetime) -> Credential:
        """Return what `get` returns, but wait for it: for callers with no other work."""
        while True:
            try:
                return self.get(provider, now)
            except CredentialRefused:
                mint = self._mints.get(provider.credential_key())
                if mint is None:
                    raise
                mint.wait(LOCK_S)

    def _renew(
        self, provider: Provider, key: str, now: datetime, current: MintedCredential | None
    ) -> MintedCredential:
        usable = current if current is not None and current.is_fresh(now) else None
        mint = self._mints.get(key)
        if mint is None:
            mint = self._mints[key] = Mint(lambda: self._share(provider, key, now))
            if usable is None:
                mint.wait(PATIENCE_S)
        if usable is not None and (not mint.has_ended() or mint.has_failed_lately()):
            return usable
        if not mint.has_ended():
            raise CredentialRefused(
                TryLater("the credential is being fetched", after=LOOK_AGAIN, blameless=True)
            )
        del self._mints[key]
        try:
            record = mint.result()
        except CredentialRefused:
            if usable is None:
                raise
            return usable
        if record == self._refusals.get(key):
            return self._renew(provider, key, now, None)
        self._by_key[key] = record
        return record

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
        least = provider.remint_after if isinstance(provider, LimitsMints) else REMINT_AFTER
        if now - current.mint_time < least:
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
                    TryLater(
                        "another process is fetching the credential",
                        after=LOOK_AGAIN,
                        blameless=True,
                    )
                )
            time.sleep(POLL_S)

    def _usable(self, key: str, now: datetime) -> MintedCredential | None:
        shared = self._read(key)
        if shared is None or shared.is_ending(now) or shared == self._refusals.get(key):
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
            with self._open_client() as client:
                while True:
                    request = minting.send(exchange(client, request, MINT_TIMEOUT_S))
        except StopIteration as done:
            credential: Credential = done.value
            return credential

    def _open_client(self) -> httpx.Client:
        """Return a client for one thread and one mint."""
        trust = self._trust = self._trust or TrustStore(self._ca_file)
        transport = GuardedTransport(trust.context(), None)
        return httpx.Client(transport=transport, trust_env=False, follow_redirects=False)
