"""Workers on another host, behind a link that is slow and loses packets, on the kernel's own TCP.

How fast that is: `make bench ONLY=k`. What a cut link costs: `make chaos`. Skipped, saying why,
where this machine can have no second host.
"""

from collections.abc import Iterator

import pytest

from tests.hosts.second_host import NoSecondHost, SecondHost
from tests.journeys.people import People
from tests.system import System

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("two hosts")]
DEVICES = {"apns": 1500, "fcm": 500}


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    try:
        with SecondHost(delay_ms=5, loss=0.01) as host, System(second_host=host) as running:
            yield running
    except NoSecondHost as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("urgency", ["breaking", "normal"])
def test_an_alert_reaches_every_device_once_over_a_lossy_link(system: System, urgency: str) -> None:
    people = People(system)
    people.crowd(DEVICES)
    alert = system.send(system.ingest(topics=[people.topic]), urgency=urgency)
    report = system.finished(alert)
    total = sum(DEVICES.values())
    assert report["totals"]["planned"] == report["totals"]["accepted"] == total
    pushes = system.pushes(alert_id=alert["id"], limit=1)
    assert pushes["count"] == pushes["devices"] == total
