"""The settings of the demo's processes, and the environment that overrides them."""

from pathlib import Path

import pytest

from service.demo import demo_settings
from service.demo.demo_settings import Standins
from service.demo.servers import EmbeddedServers


@pytest.fixture
def standins(tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("the stand-ins' certificate\n")
    return Standins(
        control="http://127.0.0.1:9000",
        providers={"fcm": "https://127.0.0.1:9001", "pigeon": "https://127.0.0.1:9002"},
        ca_file=str(ca_file),
        credentials={"FCM_URL": "https://127.0.0.1:9001", "FCM_CREDENTIALS_FILE": "/its/own.json"},
    )


@pytest.fixture
def build_environment(standins, tmp_path):
    servers = EmbeddedServers(tmp_path / "data")

    def build(**overrides: str) -> dict[str, str]:
        return demo_settings.build_environment(
            overrides, servers, standins, "http://127.0.0.1:8000", tmp_path / "data"
        )

    return build


def test_only_providers_that_we_have_are_used(build_environment):
    assert build_environment()["NEWSZOP_PROVIDERS"] == "fcm"


def test_the_rate_is_not_ramped_up(build_environment):
    assert build_environment()["FCM_RAMP_SECONDS"] == "0"


def test_one_provider_may_be_another_server_while_the_rest_stay(build_environment):
    environment = build_environment(
        FCM_URL="https://elsewhere:1", FCM_CREDENTIALS_FILE="/theirs.json"
    )
    assert environment["FCM_URL"] == "https://elsewhere:1"
    assert environment["FCM_CREDENTIALS_FILE"] == "/theirs.json"
    assert environment["NEWSZOP_STANDINS_URL"] == "http://127.0.0.1:9000"


def test_certificates_from_outside_are_trusted_beside_the_stand_ins(build_environment, tmp_path):
    theirs = tmp_path / "theirs.pem"
    theirs.write_text("their certificate")
    trusted = Path(build_environment(NEWSZOP_CA_FILE=str(theirs))["NEWSZOP_CA_FILE"]).read_text()
    assert trusted == "their certificate\nthe stand-ins' certificate\n"


def test_the_secret_is_the_same_at_the_next_start(build_environment):
    assert build_environment()["NEWSZOP_SECRET_KEY"] == build_environment()["NEWSZOP_SECRET_KEY"]
