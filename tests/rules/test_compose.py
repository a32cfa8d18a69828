"""docker-compose.yml: read as the engine would, held against the settings and the commands."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer.main
import yaml

from service.cli import app
from service.commands import running
from service.commands.settings import list_settings
from service.secret_files import SECRETS

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {
    name: service for name, service in SERVICES.items() if service["image"].startswith("newszop:")
}


def parse(command: list[str]) -> str:
    """Parse a command line as `newszop` would, without running it; returns the command's name."""
    arguments = command
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
        "worker-urgent": "work",
        "worker-normal": "work",
        "strangers": "work",
        "beat": "sweep",
    }


@pytest.mark.parametrize("name", OURS)
def test_only_real_settings_are_set_and_the_needed_ones_are(name):
    defaults = {row.name: row.default for row in list_settings()}
    environment = OURS[name]["environment"]
    files = {f"{name}_FILE" for name in SECRETS}
    assert set(environment) <= set(defaults) | files
    necessary = {knob for knob, default in defaults.items() if default is None}
    generic = {knob for knob in necessary if knob.startswith(("NEWSZOP_", "DATABASE", "REDIS"))}
    assert generic <= {knob.removesuffix("_FILE") for knob in environment}


@pytest.mark.parametrize("name", OURS)
def test_ours_run_without_rights_on_a_root_that_nobody_can_write(name):
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["mem_limit"]
    assert ":latest" not in service["image"]


@pytest.mark.parametrize("name", sorted(OURS.keys() - {"migrate"}))
def test_each_program_shows_that_it_lives_without_loading_ours(name):
    check = " ".join(OURS[name]["healthcheck"]["test"])
    assert "newszop" not in check
    assert "urllib" not in check
    if "/tmp/alive" in check:
        assert OURS[name]["environment"]["NEWSZOP_ALIVE_FILE"] == "/tmp/alive"


def test_a_process_gets_longer_to_end_than_its_workers_take():
    for name in ("worker-urgent", "worker-normal", "strangers"):
        assert int(OURS[name]["stop_grace_period"].removesuffix("s")) > running.DRAIN_S


@pytest.mark.parametrize("name", OURS)
def test_every_service_waits_for_what_it_needs(name):
    for other, need in OURS[name]["depends_on"].items():
        if need["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert need["condition"] == "service_completed_successfully"
            assert other == "migrate"


def test_no_secret_stands_in_a_variable():
    for name, service in SERVICES.items():
        for knob in service.get("environment", {}):
            assert knob not in {*SECRETS, "POSTGRES_PASSWORD"} - {"DATABASE_URL", "REDIS_URL"}, name
    urls = [OURS["api"]["environment"][knob] for knob in ("DATABASE_URL", "REDIS_URL")]
    assert not any(":" in url.rpartition("@")[0].partition("://")[2] for url in urls)


def test_the_system_is_no_superuser_of_its_database():
    role = urlsplit(re.sub(r"\$\{\w+:-(.*)\}", r"\1", OURS["api"]["environment"]["DATABASE_URL"]))
    postgres = SERVICES["postgres"]
    assert postgres["environment"]["POSTGRES_USER"] != role.username
    (script,) = (each for each in postgres["volumes"] if "docker-entrypoint-initdb.d" in each)
    file = ROOT / script.partition(":")[0]
    assert f"CREATE DATABASE {role.path[1:]} OWNER {role.username};" in file.read_text()
    assert file.stat().st_mode & 0o111, "the image would run it within its own shell"


def test_the_site_is_published_on_loopback_only_and_by_its_proxy():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports["proxy"] == ["127.0.0.1:8000:8080"]
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    assert "ports" not in OURS["api"]


def test_every_file_that_is_mounted_exists():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./service/"):
                assert (ROOT / source).exists()


def test_the_image_copies_only_what_exists():
    builds = [service["build"] for service in OURS.values() if "build" in service]
    assert len(builds) == 1
    for line in (ROOT / builds[0]["dockerfile"]).read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = shlex.split(line.removeprefix("COPY "))
            assert all((ROOT / source).exists() for source in sources)


def test_the_manifests_run_real_commands_with_real_settings():
    documents = list(yaml.safe_load_all((ROOT / "service/deploy/kubernetes.yaml").read_text()))
    specs = [each["spec"] for each in documents if "spec" in each]
    pods = [spec["template"]["spec"] for spec in specs if "template" in spec]
    assert [parse(pod["containers"][0]["args"]) for pod in pods] == [
        "migrate",
        "serve",
        "work",
        "work",
        "work",
        "sweep",
    ]
    knobs = {row.name for row in list_settings()} | {f"{name}_FILE" for name in SECRETS}
    [config] = [each["data"] for each in documents if each["kind"] == "ConfigMap"]
    assert set(config) <= knobs
