"""The settings of the demo's processes: from the environment, and the demo's own for the rest."""

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service import provider_door
from service.demo.child_processes import Child
from service.demo.servers import EmbeddedServers, read_or_create_secret
from service.settings import new_secret

ANNOUNCEMENT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Standins:
    """What the stand-ins announce in their one line."""

    control: str
    providers: Mapping[str, str]
    ca_file: str
    credentials: Mapping[str, str]


def start_standins(standins: Child) -> None:
    """Start the stand-ins without waiting for them."""
    standins.start(stdout=subprocess.PIPE)


def await_standins(child: Child) -> Standins:
    """Return what the stand-ins announce; raises `ChildFailed` when they do not."""
    deadline = time.monotonic() + ANNOUNCEMENT_TIMEOUT_S
    line = b""
    while child.output is not None and not line.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        ready, _, _ = select.select([child.output], [], [], max(0.0, remaining))
        part = os.read(child.output.fileno(), 65536) if ready else b""
        if not part:
            raise child.failure("did not announce itself")
        line += part
    return Standins(**json.loads(line))


def build_environment(
    overrides: Mapping[str, str],
    servers: EmbeddedServers,
    standins: Standins,
    url: str,
    folder: Path,
) -> dict[str, str]:
    """Return every setting of the demo's processes; `overrides` win."""
    defaults = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "NEWSZOP_SECRET_KEY": read_or_create_secret(folder / "secret.key", new_secret),
        "NEWSZOP_PUBLIC_URL": url,
        "NEWSZOP_PAGE_CHECK_URL": url,
        "NEWSZOP_PROVIDERS": ",".join(
            sorted(standins.providers.keys() & provider_door.settings_classes())
        ),
        "NEWSZOP_DEMO": "true",
        "NEWSZOP_DEMO_FILE": str(folder / "demo.json"),
        "NEWSZOP_STANDINS_URL": standins.control,
        "NEWSZOP_LANGUAGE_RULE": "true",
        "NEWSZOP_SENDER_FOLDER": str(folder / "senders"),
        "NEWSZOP_FETCH_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "FCM_RAMP_SECONDS": "0",
        **standins.credentials,
    }
    ca_files = [overrides.get("NEWSZOP_CA_FILE", ""), standins.ca_file]
    return (
        defaults
        | dict(overrides)
        | {"NEWSZOP_CA_FILE": str(join_certificates(ca_files, folder / "trusted.pem"))}
    )


def join_certificates(files: list[str], into: Path) -> Path:
    """Write the certificates of all files into one, because a sender takes a single file."""
    parts = [Path(file).read_text().rstrip() for file in files if file]
    into.write_text("\n".join(parts) + "\n")
    return into
