"""What proves to the providers who we are: minted once a key and period, for all processes.

Providers answer a herd of processes that each mint their own with a refusal (APNs: 429
TooManyProviderTokenUpdates), so a credential is minted under a lock and shared, encrypted. In the
process it is kept at hand: while it is fresh, asking for it costs a look at a dict.
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
from workers.credentials.shared_store import Shelf
from workers.gateway.httpx.exchange import exchange
from workers.gateway.httpx.transport import GuardedTransport
from workers.gateway.trust import TrustStore
from workers.provider import Answer, Credential, CredentialRefused, Provider, Request

REMINT_AFTER = timedelta(minutes=20)
"""The least time between two mints of the same key when the first is still said to be fresh."""
MINT_TIMEOUT_S = 5.0
OTHERS_MINT_S = 2.0
"""How long to wait for another process that is minting."""
LOOK_AGAIN_S = 0.05
_KEPT_LONGER_S = int(REMINT_AFTER.total_seconds())


@dataclass(frozen=True, slots=True)
class Minted:
    """A credential and when it was really made: a provider may date it back to its period."""

    credential: Credential
    at: datetime

    def fresh(self, now: datetime) -> bool:
        """Whether it is to be used. One dated in our future is: some machine's clock is wrong."""
        return now < self.credential.fresh_until

    def dump(self) -> bytes:
        """Return it as bytes."""
        own = self.credential
        moments = (own.minted_at, own.fresh_until, self.at)
        return json.dumps([own.value, *(each.isoformat() for each in moments)]).encode()

    @classmethod
    def load(cls, kept: bytes) -> "Minted":
        """Read what `dump` wrote."""
        value, *moments = json.loads(kept)
        minted_at, fresh_until, at = map(datetime.fromisoformat, moments)
        return cls(Credential(value, minted_at, fresh_until), at)


class Credentials:
    """The credentials of this process's providers. `folder` is where files are shared."""

    def __init__(
        self, settings: Settings, client: redis.Redis, *, folder: Path | None = None
    ) -> None:
        self._shelf = Shelf(settings.secret_key, client, folder)
        self._own: dict[str, Minted] = {}
        self._rejected: dict[str, Minted] = {}
        self._ca_file = settings.ca_file
        self._http: httpx.Client | None = None

    def get(self, provider: Provider, now: datetime) -> Credential:
        """Return a fresh credential; raises `CredentialRefused` when none can be had."""
        key = provider.credential_key()
        known = self._own.get(key)
        if known is None or not known.fresh(now):
            known = self._own[key] = self._shared(provider, key, now)
        return known.credential

    def reject(self, provider: Provider, now: datetime) -> bool:
        """Drop the credential that the provider refused; True when the next will be another.

        False when it was made so lately that another would only make things worse.
        """
        key = provider.credential_key()
        known = self._own.get(key)
        if known is None:
            return True
        other = self._read(key)
        if other is not None and other.credential != known.credential and other.fresh(now):
            self._own[key] = other
            return True
        if now - known.at < REMINT_AFTER:
            return False
        self._rejected[key] = self._own.pop(key)
        return True

    def _shared(self, provider: Provider, key: str, now: datetime) -> Minted:
        """Take what another process has minted, or mint for all."""
        until = time.monotonic() + OTHERS_MINT_S
        while True:
            if (found := self._usable(key, now)) is not None:
                return found
            with self._shelf.lock(key) as mine:
                if mine:
                    # Another may have finished between our look and our lock.
                    return self._usable(key, now) or self._mint(provider, key, now)
            if time.monotonic() > until:
                raise CredentialRefused(
                    TryLater("another process is fetching the credential", blameless=True)
                )
            time.sleep(LOOK_AGAIN_S)

    def _usable(self, key: str, now: datetime) -> Minted | None:
        found = self._read(key)
        if found is None or not found.fresh(now) or found == self._rejected.get(key):
            return None
        return found

    def _read(self, key: str) -> Minted | None:
        kept = self._shelf.read(key)
        return Minted.load(kept) if kept is not None else None

    def _mint(self, provider: Provider, key: str, now: datetime) -> Minted:
        minted = Minted(self._drive(provider.credential(now)), now)
        left = int((minted.credential.fresh_until - now).total_seconds())
        self._shelf.write(key, minted.dump(), left + _KEPT_LONGER_S)
        return minted

    def _drive(self, minting: Generator[Request, Answer, Credential]) -> Credential:
        """Send the requests that the provider asks for until it has its credential."""
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
