"""A gateway of each kind, and a TLS server to talk to."""

from collections.abc import Iterator

import pytest

from tests.workers.certificates import Certificate, make_certificate
from tests.workers.gateways import SENDERS, Serve, settings_for
from tests.workers.h2_server import H2Server
from workers.gateway.contract import Gateway
from workers.gateway.opening import open_gateway


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def serve(certificate: Certificate) -> Iterator[Serve]:
    servers: list[H2Server] = []

    def start(**how: object) -> H2Server:
        servers.append(H2Server(certificate.certificate, certificate.key, **how))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(serve: Serve) -> H2Server:
    return serve()


@pytest.fixture(params=SENDERS)
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def timeout_s() -> float:
    """Seconds for a request: short, since tests wait for it; 20 where all must be answered."""
    return 1.0


@pytest.fixture
def gateway(sender: str, certificate: Certificate, timeout_s: float) -> Iterator[Gateway]:
    opened = open_gateway(settings_for(sender, certificate.certificate, timeout_s))
    opened.open_pool("apns", 50)
    yield opened
    opened.close()
