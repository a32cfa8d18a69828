"""One mint per key and period for all processes, and what happens when a provider refuses it."""

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from service.domain.verdict import SenderRejected, TryLater
from service.settings import Settings
from tests.workers.certificates import Certificate, make_certificate
from tests.workers.h2_server import H2Server, wait_until
from workers.credentials.minting import Credentials
from workers.credentials.shared_store import LOCK_S, SharedStore
from workers.provider import Answer, Credential, CredentialRefused, Failure, Request

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class SigningProvider:
    """A provider that signs for itself, as APNs does, and counts."""

    name = "signing"

    def __init__(self, key: str = "key-1", life: timedelta = 50 * MINUTE) -> None:
        self.key = key
        self.life = life
        self.minted = 0
        self.slow: Callable[[], object] = lambda: None

    def credential_key(self) -> str:
        return f"signing:{self.key}"

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        yield from ()
        self.slow()
        self.minted += 1
        return Credential(f"{self.key}/{self.minted}", now, now + self.life)


class TokenServerProvider(SigningProvider):
    """A provider that asks a token server, as FCM does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        answer = yield Request(self.url, ["content-type: text/plain"], b"please")
        if answer.status == 0:
            raise CredentialRefused(TryLater(str(answer.failure)))
        if answer.status != 200:
            raise CredentialRefused(SenderRejected(f"answer {answer.status}"))
        return Credential(answer.body.decode(), now, now + self.life)


def settings(ca_file: Path | None = None, secret: str = "a secret of sixteen letters") -> Settings:
    return Settings(
        database_url="postgresql://nowhere",
        redis_url="redis://nowhere",
        secret_key=secret,
        ca_file=ca_file,
    )


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def no_redis() -> redis.Redis:
    return redis.Redis.from_url("redis://127.0.0.1:9/0")


Process = Callable[..., Credentials]


@pytest.fixture
def process(client: redis.Redis, tmp_path: Path) -> Process:
    """Another process of the same machine each time."""

    def start(used: redis.Redis = client, folder: str = "shared", **how: str) -> Credentials:
        return Credentials(settings(**how), used, folder=tmp_path / folder)  # type: ignore[arg-type]

    return start


def test_a_credential_is_minted_once_while_it_is_fresh(process: Process) -> None:
    provider, credentials = SigningProvider(), process()

    first = credentials.obtain(provider, NOW)

    assert credentials.obtain(provider, NOW + 48 * MINUTE) == first
    assert provider.minted == 1


def test_a_credential_is_renewed_when_its_time_has_come(process: Process) -> None:
    provider, credentials = SigningProvider(), process()
    first = credentials.obtain(provider, NOW)

    assert credentials.obtain(provider, NOW + 50 * MINUTE) != first
    assert provider.minted == 2


def test_processes_share_one_mint(process: Process) -> None:
    provider = SigningProvider()

    found = {process().obtain(provider, NOW).value for _ in range(5)}

    assert found == {"key-1/1"}


def test_processes_that_start_together_mint_once(process: Process) -> None:
    provider = SigningProvider()
    everyone_waits = threading.Barrier(8)
    found: list[str] = []
    provider.slow = lambda: threading.Event().wait(0.2)

    def start() -> None:
        credentials = process()
        everyone_waits.wait()
        found.append(credentials.obtain(provider, NOW).value)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["key-1/1"] * 8


def test_machines_share_by_redis_alone(process: Process) -> None:
    provider = SigningProvider()

    process(folder="machine-1").obtain(provider, NOW)

    assert process(folder="machine-2").obtain(provider, NOW).value == "key-1/1"


def test_a_wiped_redis_makes_nobody_mint_again(process: Process, client: redis.Redis) -> None:
    provider, credentials = SigningProvider(), process()
    credentials.obtain(provider, NOW)

    client.flushdb()

    assert credentials.obtain(provider, NOW).value == "key-1/1"
    assert process().obtain(provider, NOW).value == "key-1/1"


def test_without_redis_the_processes_of_a_machine_still_share(
    process: Process, no_redis: redis.Redis
) -> None:
    provider = SigningProvider()

    found = {process(no_redis).obtain(provider, NOW).value for _ in range(3)}

    assert found == {"key-1/1"}


def test_without_redis_and_a_place_for_files_each_process_has_its_own(
    process: Process, no_redis: redis.Redis, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("this is not a folder")
    provider = SigningProvider()
    credentials = process(no_redis, folder="taken")

    assert credentials.obtain(provider, NOW).value == "key-1/1"
    assert credentials.obtain(provider, NOW).value == "key-1/1"


def test_one_process_at_a_time_holds_the_lock(client: redis.Redis, tmp_path: Path) -> None:
    first, second = (SharedStore("a secret", client, tmp_path) for _ in range(2))
    with first.lock("apns") as acquired, second.lock("apns") as second_acquired:
        assert (acquired, second_acquired) == (True, False)
    with second.lock("apns") as acquired:
        assert acquired


def test_a_lock_that_ran_out_is_not_taken_from_its_next_holder(
    client: redis.Redis, tmp_path: Path
) -> None:
    slow, other = (SharedStore("a secret", client, tmp_path) for _ in range(2))
    with contextlib.ExitStack() as stack:
        with slow.lock("apns") as acquired:
            assert acquired
            client.delete(*client.keys("newszop:credential:lock:*"))
            assert stack.enter_context(other.lock("apns"))
        with slow.lock("apns") as acquired:
            assert not acquired


def test_redis_frees_the_lock_of_a_process_that_died(client: redis.Redis, tmp_path: Path) -> None:
    with SharedStore("a secret", client, tmp_path).lock("apns"):
        [key] = client.keys("newszop:credential:lock:*")
        assert 0 < client.pttl(key) <= LOCK_S * 1000


def test_a_changed_key_is_picked_up_at_once(process: Process) -> None:
    provider, credentials = SigningProvider(), process()
    credentials.obtain(provider, NOW)

    provider.key = "key-2"

    assert credentials.obtain(provider, NOW).value == "key-2/2"


def test_neither_redis_nor_the_file_shows_the_credential(
    process: Process, client: redis.Redis, tmp_path: Path
) -> None:
    process().obtain(SigningProvider(), NOW)

    kept = [client.get(name) or b"" for name in client.keys("newszop:credential:*")]
    kept += [file.read_bytes() for file in (tmp_path / "shared").iterdir()]
    assert len(kept) >= 2
    assert all(b"key-1" not in each for each in kept)
    assert all(b"key-1" not in name and b"signing" not in name for name in client.keys("*"))


def test_the_folder_is_for_this_account_only(process: Process, tmp_path: Path) -> None:
    process().obtain(SigningProvider(), NOW)

    assert (tmp_path / "shared").stat().st_mode & 0o077 == 0


def test_a_forged_value_is_not_believed(process: Process, client: redis.Redis) -> None:
    provider = SigningProvider()
    process(folder="machine-1").obtain(provider, NOW)
    for name in client.keys("newszop:credential:*"):
        client.set(name, b"forged")

    assert process(folder="machine-2").obtain(provider, NOW).value == "key-1/2"


def test_services_with_other_secrets_do_not_meet(process: Process) -> None:
    provider = SigningProvider()
    process().obtain(provider, NOW)

    assert process(secret="another secret altogether").obtain(provider, NOW).value == "key-1/2"


def test_a_clock_that_is_behind_takes_what_another_machine_minted(process: Process) -> None:
    provider = SigningProvider()
    process().obtain(provider, NOW + 3 * MINUTE)

    assert process().obtain(provider, NOW).value == "key-1/1"


def test_a_refused_credential_is_not_replaced_sooner_than_the_provider_allows(
    process: Process,
) -> None:
    """Apple refuses senders that come with a new token more often than every twenty minutes."""
    provider, credentials = SigningProvider(), process()
    provider.remint_after = 20 * MINUTE
    credentials.obtain(provider, NOW)

    assert not credentials.reject(provider, NOW + 19 * MINUTE)
    assert credentials.obtain(provider, NOW + 19 * MINUTE).value == "key-1/1"
    assert credentials.reject(provider, NOW + 21 * MINUTE)
    assert credentials.obtain(provider, NOW + 21 * MINUTE).value == "key-1/2"


def test_a_young_access_token_that_was_revoked_is_replaced_at_once(process: Process) -> None:
    provider, credentials = TokenServerProvider("https://nowhere.invalid/"), process()
    provider.credential = SigningProvider.credential.__get__(provider)  # type: ignore[method-assign]
    credentials.obtain(provider, NOW)

    assert credentials.reject(provider, NOW + MINUTE)
    assert credentials.obtain(provider, NOW + MINUTE).value == "key-1/2"


def test_an_access_token_that_is_refused_as_soon_as_it_is_there_is_no_cure(
    process: Process,
) -> None:
    provider, credentials = TokenServerProvider("https://nowhere.invalid/"), process()
    provider.credential = SigningProvider.credential.__get__(provider)  # type: ignore[method-assign]
    credentials.obtain(provider, NOW)

    assert not credentials.reject(provider, NOW + timedelta(seconds=5))


def test_a_credential_is_kept_for_its_whole_life_by_all_who_come_later(process: Process) -> None:
    """Two processes and the end of a period of the clock: not two tokens within four minutes."""
    provider = SigningProvider()
    process().obtain(provider, NOW + 36 * MINUTE)

    found = {process().obtain(provider, NOW + n * MINUTE).value for n in (39, 40, 41, 84)}

    assert found == {"key-1/1"}


def test_a_credential_that_ends_soon_is_used_until_the_next_one_is_there(process: Process) -> None:
    provider, credentials = SigningProvider(), process()
    first = credentials.obtain(provider, NOW)
    done = threading.Event()
    provider.slow = lambda: done.wait(10)

    begin = time.monotonic()
    assert credentials.get(provider, NOW + 49.5 * MINUTE) == first
    assert time.monotonic() - begin < 0.09

    done.set()
    wait_until(lambda: credentials.get(provider, NOW + 49.5 * MINUTE) != first)
    assert provider.minted == 2


def test_a_credential_that_ends_soon_is_used_although_the_next_one_is_refused(
    process: Process,
) -> None:
    provider, credentials = SigningProvider(), process()
    first = credentials.obtain(provider, NOW)
    times: list[int] = []

    def refuse() -> None:
        times.append(1)
        raise CredentialRefused(SenderRejected("no"))

    provider.slow = refuse

    for _ in range(20):
        assert credentials.get(provider, NOW + 49.5 * MINUTE) == first
        time.sleep(0.01)
    assert len(times) == 1
    with pytest.raises(CredentialRefused):
        credentials.obtain(provider, NOW + 50 * MINUTE)


def test_a_token_server_that_hangs_holds_up_nobody_else(
    client: redis.Redis, certificate: Certificate, tmp_path: Path
) -> None:
    """The caller sends to all providers: it is told at once that there is no credential yet."""
    server = H2Server(certificate.certificate, certificate.key)
    credentials = Credentials(settings(certificate.certificate), client, folder=tmp_path)
    hanging = TokenServerProvider(f"{server.origin}/slow/2")
    signing = SigningProvider("key-2")
    credentials.obtain(signing, NOW)
    begin = time.monotonic()

    for _ in range(20):
        with pytest.raises(CredentialRefused) as refused:
            credentials.get(hanging, NOW)
        assert credentials.get(signing, NOW).value == "key-2/1"

    assert time.monotonic() - begin < 1
    verdict = refused.value.verdict
    assert isinstance(verdict, TryLater)
    assert verdict.blameless
    assert verdict.after is not None
    assert verdict.after < timedelta(seconds=1)
    assert credentials.obtain(hanging, NOW).value
    server.close()


def test_what_counts_is_when_it_was_minted_and_not_how_it_is_dated(process: Process) -> None:
    """APNs' tokens are dated back to the beginning of their period."""
    provider, credentials = SigningProvider(), process()
    provider.credential = lambda now: _dated_back(provider, now)  # type: ignore[method-assign]
    credentials.obtain(provider, NOW)

    assert not credentials.reject(provider, NOW + timedelta(seconds=5))


def _dated_back(provider: SigningProvider, now: datetime) -> Generator[Request, Answer, Credential]:
    yield from ()
    provider.minted += 1
    return Credential(f"{provider.minted}", now - 40 * MINUTE, now + 10 * MINUTE)


def test_a_whole_fleet_that_is_refused_mints_one_more(process: Process) -> None:
    provider = SigningProvider()
    fleet = [process() for _ in range(4)]
    for each in fleet:
        each.obtain(provider, NOW)
    later = NOW + 30 * MINUTE

    for each in fleet:
        assert each.reject(provider, later)
        assert each.obtain(provider, later).value == "key-1/2"

    assert provider.minted == 2


def test_a_credential_of_short_life_may_be_renewed_when_it_ends(process: Process) -> None:
    provider, credentials = SigningProvider(life=MINUTE), process()
    credentials.obtain(provider, NOW)

    assert credentials.obtain(provider, NOW + 2 * MINUTE).value == "key-1/2"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_a_token_server_is_asked_over_verified_tls(
    client: redis.Redis, certificate: Certificate, tmp_path: Path
) -> None:
    server = H2Server(certificate.certificate, certificate.key)
    credentials = Credentials(settings(certificate.certificate), client, folder=tmp_path)

    found = credentials.obtain(TokenServerProvider(f"{server.origin}/answer/200"), NOW)

    assert '"size": 6' in found.value
    server.close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/answer/401", SenderRejected("answer 401")),
        ("/refuse", TryLater(str(Failure.NOT_SENT))),
        ("/cut", TryLater(str(Failure.UNKNOWN))),
    ],
)
def test_a_token_server_that_refuses_is_a_verdict_and_is_asked_again_later(
    client: redis.Redis, certificate: Certificate, tmp_path: Path, path: str, expected: object
) -> None:
    server = H2Server(certificate.certificate, certificate.key)
    credentials = Credentials(settings(certificate.certificate), client, folder=tmp_path)
    provider = TokenServerProvider(f"{server.origin}{path}")

    with pytest.raises(CredentialRefused) as refused:
        credentials.obtain(provider, NOW)

    assert refused.value.verdict == expected
    provider.url = f"{server.origin}/answer/200"
    assert credentials.obtain(provider, NOW).value
    server.close()
