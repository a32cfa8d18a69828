import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.standins.senders import Apple, Browser, Google, Mozilla
from workers.standins.data_folder.ports import PORT_RANGE, Ports
from workers.standins.process import start


def client_of(running) -> httpx.Client:
    trust = ssl.create_default_context(cafile=running.ca_file)
    return httpx.Client(http2=True, verify=trust, trust_env=False)


def test_a_restart_on_the_same_folder_knows_ports_keys_tokens_and_subscriptions(tmp_path):
    with start(tmp_path) as first, client_of(first) as client:
        google = Google(client, first.credentials)
        assert google.push().is_success
        body = {"provider": "webpush", "count": 3}
        items = httpx.post(f"{first.control}/control/subscriptions", json=body).json()["items"]
    with start(tmp_path) as second, client_of(second) as client:
        assert second.control == first.control
        assert second.providers == first.providers
        assert second.credentials == first.credentials
        assert Apple(client, first.credentials).push().is_success
        assert Google(client, first.credentials, google.token).push().is_success
        for each in items:
            assert Mozilla(client, first.credentials).push(Browser(**each)).is_success


def test_a_second_process_on_the_same_folder_chooses_other_ports(tmp_path):
    with start(tmp_path) as first, start(tmp_path) as second:
        assert set(first.providers.values()).isdisjoint(second.providers.values())
        assert first.control != second.control


def test_new_ports_are_below_those_of_outgoing_connections(tmp_path):
    ports = Ports(tmp_path / "ports.json")
    chosen = [ports.choose(str(number)) for number in range(5)]
    ports.save()
    assert all(port in PORT_RANGE for port in chosen)
    assert Ports(tmp_path / "ports.json").choose("3") == chosen[3]


def test_two_folders_have_different_keys(tmp_path):
    with (
        start(tmp_path / "a") as one,
        start(tmp_path / "b") as other,
        client_of(other) as client,
    ):
        stranger = Apple(client, one.credentials | {"APNS_URL": other.providers["apns"]})
        assert stranger.push().status_code == 403


def test_the_announcement_has_every_setting_that_a_sender_needs(standins):
    assert set(standins.providers) == {"apns", "fcm", "webpush", "hms", "expo"}
    settings = standins.credentials
    for name in settings:
        assert settings[name], name
        if name.endswith("_FILE"):
            assert Path(settings[name]).stat().st_mode & 0o077 == 0, name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_removes_its_temporary_folder(number):
    running = start()
    folder = Path(running.ca_file).parent
    running.process.send_signal(number)
    assert running.process.wait(5) == 0
    assert not folder.exists()
    running.stop()


def test_it_ends_with_the_process_that_started_it(tmp_path):
    script = (
        "from workers.standins.process import start\n"
        f"print(start({str(tmp_path)!r}).process.pid, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    pid = int(result.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and is_running(pid):
        time.sleep(0.1)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


def test_it_starts_in_about_a_second(tmp_path):
    start(tmp_path).stop()
    started_at = time.monotonic()
    start(tmp_path).stop()
    assert time.monotonic() - started_at < 5
