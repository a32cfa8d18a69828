"""Secrets from files, as engines mount them: `NAME_FILE` names the file that `NAME` is read from.

What stands in a file is in no `docker inspect` and no list of processes.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import quote, urlsplit

SECRETS = (
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "PGPASSWORD",
    "REDIS_URL",
    "REDIS_PASSWORD",
    "BROKER_URL",
    "NEWSZOP_SECRET_KEY",
    "NEWSZOP_EARLIER_SECRET_KEYS",
    "NEWSZOP_METRICS_TOKEN",
    "NEWSZOP_MEDIA_KEY_ID",
    "NEWSZOP_MEDIA_SECRET_KEY",
    "HMS_APP_SECRET",
    "EXPO_ACCESS_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
)
"""`PGPASSWORD` completes a `DATABASE_URL` without a password, `REDIS_PASSWORD` a `REDIS_URL`."""
SUFFIX = "_FILE"


def read_secret_files(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what files hold and nothing else sets; raises `ValueError` that names the variable."""
    for name in SECRETS:
        file = environment.get(name + SUFFIX)
        if not file or environment.get(name):
            continue
        try:
            environment[name] = Path(file).read_text().strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            message = f"{name}{SUFFIX}: {file} cannot be read ({reason})"
            raise ValueError(message) from None
    _complete_redis_url(environment)


def _complete_redis_url(environment: MutableMapping[str, str]) -> None:
    url, password = environment.get("REDIS_URL", ""), environment.get("REDIS_PASSWORD", "")
    if url and password and "@" not in urlsplit(url).netloc:
        environment["REDIS_URL"] = url.replace("://", f"://:{quote(password, safe='')}@", 1)
