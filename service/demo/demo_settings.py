"""What the demo tells its processes: what the environment says, and the demo's own for the rest."""

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
from service.demo.servers import Embedded, kept
from service.settings import new_secret

ANNOUNCED_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Standins:
    """What the stand-ins say of themselves in their one line."""

    control: str
    providers: Mapping[str, str]
    ca_file: str
    credentials: Mapping[str, str]


def start(standins: Child) -> None:
    """Start the stand-ins without waiting for them."""
    standins.start(stdout=subprocess.PIPE)


def await_standins(child: Child) -> Standins:
    """Return what the stand-ins announce; raises `ChildFailed` when they do not."""
    deadline = time.monotonic() + ANNOUNCED_WITHIN_S
    line = b""
    while child.output is not None and not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        ready, _, _ = select.select([child.output], [], [], max(0.0, left))
        part = os.read(child.output.fileno(), 65536) if ready else b""
        if not part:
            raise child.failure("said nothing of itself")
        line += part
    return Standins(**json.loads(line))


def environment(
    given: Mapping[str, str], servers: Embedded, standins: Standins, url: str, folder: Path
) -> dict[str, str]:
    """Return every setting of the demo's processes; what `given` says wins."""
    ours = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "NEWSZOP_SECRET_KEY": kept(folder / "secret.key", new_secret),
        "NEWSZOP_PUBLIC_URL": url,
        "NEWSZOP_PAGE_CHECK_URL": url,
        "NEWSZOP_PROVIDERS": ",".join(
            sorted(standins.providers.keys() & provider_door.settings_classes())
        ),
        "NEWSZOP_DEMO": "true",
        "NEWSZOP_DEMO_FILE": str(folder / "demo.json"),
        "NEWSZOP_STANDINS_URL": standins.control,
        "FCM_RAMP_SECONDS": "0",
        **standins.credentials,
    }
    trusted = [given.get("NEWSZOP_CA_FILE", ""), standins.ca_file]
    return ours | dict(given) | {"NEWSZOP_CA_FILE": str(join(trusted, folder / "trusted.pem"))}


def join(files: list[str], into: Path) -> Path:
    """Write the certificates of all files into one: a sender takes a single file."""
    parts = [Path(file).read_text().rstrip() for file in files if file]
    into.write_text("\n".join(parts) + "\n")
    return into
