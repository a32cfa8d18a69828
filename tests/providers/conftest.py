"""Every provider, configured with keys made for the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.credentials import provider_environment
from workers import provider as providers
from workers.provider import Provider
from workers.standins.process import Running, start


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def configured(key_folder: Path) -> dict[str, str]:
    return provider_environment(key_folder)


@pytest.fixture
def environment(configured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in configured.items():
        monkeypatch.setenv(name, value)
    return configured


@pytest.fixture(scope="session")
def find(configured: dict[str, str]) -> Callable[[str], Provider]:
    """Find a provider, once a session: reading its keys takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in configured.items():
            patch.setenv(name, value)
        found = {name: providers.find(name) for name in providers.names()}
    return found.__getitem__


@pytest.fixture
def apns(find: Callable[[str], Provider]) -> Provider:
    return find("apns")


@pytest.fixture
def fcm(find: Callable[[str], Provider]) -> Provider:
    return find("fcm")


@pytest.fixture
def webpush(find: Callable[[str], Provider]) -> Provider:
    return find("webpush")


@pytest.fixture
def hms(find: Callable[[str], Provider]) -> Provider:
    return find("hms")


@pytest.fixture
def expo(find: Callable[[str], Provider]) -> Provider:
    return find("expo")


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start(tmp_path_factory.mktemp("standins")) as running:
        yield running
