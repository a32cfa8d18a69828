"""docker-compose.yml: read as the engine would, held against the settings and the commands."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from service.cli import app
from service.commands.settings import list_settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "newszop"}


def parse(command: list[str]) -> str:
    """Parse a command line as `newszop` would, without running it; returns the command's name."""
    name, *arguments = command
    assert name == "newszop"
    group = typer.main.get_command(app)
    context = group.make_context("newszop", arguments)
    child_name, child, rest = group.resolve_command(context, [*arguments])
    child.make_context(child_name, rest)
    return child_name


def test_each_part_of_the_system_is_one_service():
    commands = {name: parse(service["command"]) for name, service in OURS.items()}
    assert commands == {
        "migrate": "migrate",
        "api": "serve",
        "workers": "work",
        "strangers": "work",
        "beat": "sweep",
    }


@pytest.mark.parametrize("name", OURS)
def test_only_real_settings_are_set_and_the_needed_ones_are(name):
    defaults = {row.name: row.default for row in list_settings()}
    environment = OURS[name]["environment"]
    assert set(environment) <= set(defaults)
    necessary = {knob for knob, default in defaults.items() if default is None}
    generic = {knob for knob in necessary if knob.startswith(("NEWSZOP_", "DATABASE", "REDIS"))}
    assert generic <= set(environment)


@pytest.mark.parametrize("name", OURS)
def test_every_service_waits_for_what_it_needs(name):
    for other, need in OURS[name]["depends_on"].items():
        if need["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert need["condition"] == "service_completed_successfully"
            assert other == "migrate"


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("NEWSZOP_SECRET_KEY", "POSTGRES_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(.)", text)) <= {":"}
        assert f"${{{name}:-" not in text


def test_the_site_is_published_on_loopback_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8000:8000"]


def test_the_image_copies_only_what_exists():
    builds = [service["build"] for service in OURS.values() if "build" in service]
    assert len(builds) == 1
    for line in builds[0]["dockerfile_inline"].splitlines():
        if line.startswith("COPY "):
            *sources, _ = shlex.split(line.removeprefix("COPY "))
            assert all((ROOT / source).exists() for source in sources)
