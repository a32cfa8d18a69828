import ssl

import httpx
import pytest

from tests.standins.senders import Apple, Browser, Google, Mozilla
from workers.standins.process import start


@pytest.fixture(scope="session")
def standins(tmp_path_factory):
    with start(tmp_path_factory.mktemp("standins")) as running:
        yield running


@pytest.fixture(scope="session")
def client(standins):
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(http2=True, verify=trust, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def control_client(standins):
    with httpx.Client(base_url=standins.control, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def control(control_client):
    control_client.delete("/control/weather").raise_for_status()
    control_client.delete("/control/pushes").raise_for_status()
    yield control_client
    control_client.delete("/control/weather").raise_for_status()


@pytest.fixture
def apple(standins, client, control):
    return Apple(client, standins.credentials)


@pytest.fixture
def google(standins, client, control):
    return Google(client, standins.credentials)


@pytest.fixture
def mozilla(standins, client, control):
    return Mozilla(client, standins.credentials)


@pytest.fixture
def browser(control):
    answer = control.post("/control/subscriptions", json={"provider": "webpush"})
    return Browser(**answer.json()["items"][0])
