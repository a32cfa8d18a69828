"""Every file of the folder is a provider, and honours the contract: mypy proves it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers.examples import NOW, a_target, alert_content, requests, run
from workers import provider as providers
from workers.provider import ANSWER_LIMIT, Request

ROOT = Path(__file__).parents[2]
EVERY = providers.provider_names()


def test_a_provider_is_found_by_its_files_name(provider_named):
    files = {file.stem for file in (ROOT / "workers" / "providers").glob("[!_]*.py")}
    assert set(EVERY) == files
    assert {name: provider_named(name).name for name in EVERY} == {name: name for name in EVERY}


def test_an_unknown_provider_is_not_found():
    with pytest.raises(LookupError, match="there is no provider 'pigeon'"):
        providers.load_provider("pigeon")


def test_mypy_agrees_that_every_provider_keeps_the_contract(tmp_path):
    pytest.importorskip("mypy")
    lines = ["from workers.provider import Provider, ProviderFactory"]
    lines += [f"from workers.providers import {name}" for name in EVERY]
    lines += [f"def take_{name}(one: {name}.Provider) -> Provider: return one" for name in EVERY]
    file = tmp_path / "contract.py"
    file.write_text("\n".join(lines))
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        str(file),
    ]
    ran = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"console"}))
def test_every_target_is_in_exactly_one_request_in_any_order(provider_named, name):
    targets = [a_target(name, n) for n in (3, 1, 4, 15, 9, 2, 6)]
    found = requests(provider_named(name), alert_content(), *targets)
    assert all(isinstance(request, Request) for request in found)
    positions = [position for request in found for position in request.positions]
    assert sorted(positions) == [1, 2, 3, 4, 6, 9, 15]
    assert all(request.answer_limit >= ANSWER_LIMIT for request in found)


@pytest.mark.parametrize("name", EVERY)
def test_no_target_means_no_request(provider_named, name):
    assert requests(provider_named(name), alert_content()) == []


@pytest.mark.parametrize("name", EVERY)
def test_the_same_push_is_built_twice_alike(provider_named, name):
    """A retry is the same request: id, collapse key, words; only a Web Push is encrypted anew."""
    first, second = (
        requests(provider_named(name), alert_content(), a_target(name), now=NOW) for _ in range(2)
    )
    if name == "webpush":
        assert [request.headers for request in first] == [request.headers for request in second]
    else:
        assert first == second


@pytest.mark.parametrize("name", EVERY)
def test_no_secret_shows_where_credentials_are_kept(provider_named, name, configured):
    secrets = [value for key, value in configured.items() if key.endswith(("SECRET", "TOKEN"))]
    shown = provider_named(name).credential_key()
    assert not any(secret in shown for secret in secrets)


def test_the_console_accepts_everything_and_sends_nothing(provider_named):
    console = provider_named("console")
    pushes = console.pushes(alert_content(), run(console.credential(NOW)))
    found = list(pushes.requests([a_target("console", n) for n in range(3)], NOW))
    assert [position for position, _ in found] == [0, 1, 2]
    assert {type(verdict).__name__ for _, verdict in found} == {"Accepted"}


def test_only_web_push_has_addresses_from_strangers(provider_named):
    assert [name for name in EVERY if provider_named(name).guard is not None] == ["webpush"]
    assert provider_named("webpush").guard is provider_named("webpush").guard
