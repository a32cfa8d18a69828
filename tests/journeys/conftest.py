from collections.abc import Iterator

import httpx
import pytest

from tests.collector import Collector
from tests.journeys.people import People
from tests.system import System


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Where the shared system's traces go."""
    running = Collector()
    yield running
    running.close()


@pytest.fixture(scope="package")
def system(collector: Collector) -> Iterator[System]:
    """One running system for all journeys: each brings its own story, topic and readers.

    Every alert is traced. It ends with the last journey of this process: its sweeps and signs of
    life would cost the tests that follow a twentieth of a core.
    """
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER_ARG": "1"}
    with System(**traces) as running:
        yield running


@pytest.fixture
def people(system: System) -> Iterator[People]:
    """Readers with devices, made through the API or, many at a time, in the tables."""
    yield People(system)
    system.control.delete("/control/weather").raise_for_status()


@pytest.fixture
def anybody(system: System) -> Iterator[httpx.Client]:
    """A caller without any key."""
    with httpx.Client(base_url=system.url, timeout=30) as client:
        yield client
