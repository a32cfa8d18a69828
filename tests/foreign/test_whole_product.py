"""The whole product behind HAProxy, with an origin that answers before it has read the body.

FOREIGN_REQUESTS of 5,000 (`make foreign`) are 20 alerts to 900 devices. Each device gets each alert
once: HAProxy's origin writes down every push that arrives, whatever is reported of it.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.foreign import server_setups as setups
from tests.foreign.foreign_server import Site
from tests.journeys.people import People
from tests.system import System

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(300), pytest.mark.xdist_group("HAProxy")]

ALERTS = max(int(os.environ.get("FOREIGN_REQUESTS", "500")) // 250, 1)
DEVICES = 900
_PUSH = re.compile(r"^/3/device/(\w+)$", re.MULTILINE)
SUMMARIES = ("It rains.", "It rains. " * 45)
"""A short push and one of two frames: the fault that this guards against needed both."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as opened:
        setups.start_haproxy(opened, origin="early")
        yield opened


@pytest.fixture
def system(site: Site) -> Iterator[System]:
    settings = {"NEWSZOP_PROVIDERS": "apns", "APNS_URL": site.origin}
    with System(NEWSZOP_CA_FILE=str(site.certificate), **settings) as running:
        yield running


def pushes(site: Site) -> Counter[str]:
    return Counter(_PUSH.findall(site.requests.read_text()))


def test_no_device_is_pushed_twice_behind_an_early_origin(site: Site, system: System) -> None:
    people = People(system)
    addresses = people.crowd({"apns": DEVICES})
    twice = reported = 0
    for number in range(ALERTS):
        before = pushes(site)
        story = system.ingest(
            headline=f"Rain, day {number}", summary=SUMMARIES[number % 2], topics=[people.topic]
        )
        report = system.finished(system.send(story))
        arrivals = pushes(site) - before
        assert set(arrivals) == set(addresses)
        assert report["totals"]["accepted"] == report["totals"]["planned"] == DEVICES
        twice += sum(times > 1 for times in arrivals.values())
        reported += report["totals"]["accepted"]
    print(f"\n{ALERTS} alerts, {DEVICES} devices: {reported} accepted, {twice} pushed twice")
    assert twice == 0
