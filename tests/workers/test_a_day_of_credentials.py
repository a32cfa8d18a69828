"""A day of alerts in fast motion: `now` is what we say, and Apple and Google are their rules.

An alert every 7 minutes over 24 hours, from two processes in turn. Google's access tokens are all
revoked twice, once just after the newest was minted; Apple's key is changed once.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
import redis
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service.domain.verdict import TryLater
from service.settings import Settings
from tests.credentials import KEY_ID, a_p256_key, pem, provider_environment
from workers.credentials.minting import Credentials
from workers.provider import CredentialRefused, Provider, load_provider

MIDNIGHT = datetime(2026, 11, 28, 21, 36, tzinfo=UTC)
ALERT_EVERY = timedelta(minutes=7)
ALERTS = 24 * 60 // 7
MOST_AWAY = timedelta(seconds=10)
BLINK = timedelta(seconds=0.25)
Accepts = Callable[[str, datetime], bool]


class Apple:
    """Takes tokens of the present key, at most an hour old, and a new one in 20 minutes at most."""

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file
        self.first_uses: dict[bytes, dict[str, datetime]] = {}

    def accepts(self, token: str, now: datetime) -> bool:
        key = self.key_file.read_bytes()
        public = load_pem_private_key(key, None).public_key()
        try:
            claims = jwt.decode(token, public, ["ES256"], options={"verify_iat": False})  # type: ignore[arg-type]
        except jwt.InvalidSignatureError:
            return False
        assert jwt.get_unverified_header(token)["kid"] == KEY_ID
        age = now - datetime.fromtimestamp(claims["iat"], UTC)
        assert timedelta() <= age <= timedelta(hours=1), "ExpiredProviderToken"
        uses = self.first_uses.setdefault(key, {})
        if token not in uses:
            latest = max(uses.values(), default=now - timedelta(days=1))
            assert now - latest >= timedelta(minutes=20), "TooManyProviderTokenUpdates"
            uses[token] = now
        return True


class Google:
    """Issues access tokens for an hour, and forgets them when they are revoked."""

    def __init__(self) -> None:
        self.now = MIDNIGHT
        self.issued = 0
        self.ends: dict[str, datetime] = {}

    def issue(self, _: httpx.Request) -> httpx.Response:
        self.issued += 1
        token = f"ya29.{self.issued}"
        self.ends[token] = self.now + timedelta(hours=1)
        return httpx.Response(200, json={"access_token": token, "expires_in": 3600})

    def accepts(self, token: str, now: datetime) -> bool:
        return now < self.ends.get(token, now)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Google:
    server = Google()
    transport = httpx.MockTransport(server.issue)
    monkeypatch.setattr(Credentials, "_open_client", lambda _: httpx.Client(transport=transport))
    return server


@pytest.fixture
def processes(redis_url: str, tmp_path: Path) -> list[Credentials]:
    settings = Settings(
        database_url="postgresql://nowhere",
        redis_url=redis_url,
        secret_key="a secret of sixteen letters",
    )
    client = redis.Redis.from_url(redis_url)
    return [Credentials(settings, client, folder=tmp_path / "shared") for _ in range(2)]


def push(process: Credentials, provider: Provider, now: datetime, accepts: Accepts) -> timedelta:
    """Push until it is accepted; returns how long that took by the simulated clock."""
    begin = now
    while now - begin <= 2 * MOST_AWAY:
        try:
            token = process.get(provider, now).value
        except CredentialRefused as refused:
            if not isinstance(refused.verdict, TryLater):
                raise
            time.sleep(BLINK.total_seconds())  # a mint takes real time
            now += BLINK
            continue
        if accepts(token, now):
            return now - begin
        process.reject(provider, now)
        now += BLINK
    pytest.fail(f"{provider.name} is away since {begin}")


def test_a_day_of_revoked_tokens_keeps_no_provider_away(
    processes: list[Credentials], google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = provider_environment(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    apns, fcm = load_provider("apns"), load_provider("fcm")
    apple = Apple(Path(environment["APNS_KEY_FILE"]))
    away = {"apns": timedelta(), "fcm": timedelta()}
    revoked_at = {ALERTS // 4}
    for number in range(ALERTS):
        google.now = now = MIDNIGHT + number * ALERT_EVERY
        if number in revoked_at:
            google.ends.clear()
        if number == ALERTS // 2:
            apple.key_file.write_bytes(pem(a_p256_key()))
        issued = google.issued
        process = processes[number % 2]
        away["apns"] = max(away["apns"], push(process, apns, now, apple.accepts))
        away["fcm"] = max(away["fcm"], push(process, fcm, now, google.accepts))
        if len(revoked_at) == 1 and number > 3 * ALERTS // 4 and google.issued > issued:
            revoked_at.add(number)
            google.ends.clear()
            begin = now + timedelta(seconds=1)
            google.now = begin
            away["fcm"] = max(away["fcm"], push(process, fcm, begin, google.accepts))

    print(
        f"\n{ALERTS} alerts; longest away: {away}; Google issued {google.issued} tokens; Apple saw"
    )
    print([len(uses) for uses in apple.first_uses.values()])
    assert len(revoked_at) == 2
    assert len(apple.first_uses) == 2
    assert max(away.values()) <= MOST_AWAY
