"""Every provider, configured with keys made for the test."""

from collections.abc import Callable, Iterator

import pytest

from workers import provider as providers
from workers.provider import Provider
from workers.standins.process import StandinsProcess, start


@pytest.fixture
def environment(configured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in configured.items():
        monkeypatch.setenv(name, value)
    return configured


@pytest.fixture(scope="session")
def provider_named(configured: dict[str, str]) -> Callable[[str], Provider]:
    """Find a provider, once a session: reading its keys takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in configured.items():
            patch.setenv(name, value)
        found = {name: providers.load_provider(name) for name in providers.provider_names()}
    return found.__getitem__


@pytest.fixture
def apns(provider_named: Callable[[str], Provider]) -> Provider:
    return provider_named("apns")


@pytest.fixture
def fcm(provider_named: Callable[[str], Provider]) -> Provider:
    return provider_named("fcm")


@pytest.fixture
def webpush(provider_named: Callable[[str], Provider]) -> Provider:
    return provider_named("webpush")


@pytest.fixture
def hms(provider_named: Callable[[str], Provider]) -> Provider:
    return provider_named("hms")


@pytest.fixture
def expo(provider_named: Callable[[str], Provider]) -> Provider:
    return provider_named("expo")


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinsProcess]:
    with start(tmp_path_factory.mktemp("standins")) as running:
        yield running
