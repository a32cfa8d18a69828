"""The proxy of docker-compose.yml: whose requests go to the newsroom's own processes."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.demo.servers import free_port
from service.http.admission import NEWSROOM_PATHS
from tests.foreign.foreign_server import is_open, require
from tests.rules.source import ROOT

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(60), pytest.mark.xdist_group("HAProxy")]

KEY = {"Authorization": "Bearer nzp_secret"}
SESSION = {"Cookie": "theme=dark; newszop_staff=secret"}
READER = {"Authorization": "Bearer a-readers-token", "Cookie": "newszop_reader=x"}
FEW_CONNECTIONS = 20
"""In the place of the 1,000 of one address, which a test's files may not suffice for."""
STUB = """
import http.server, sys
class Stub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Stub).serve_forever()
"""


class Proxy:
    """HAProxy with our configuration, before two servers that answer with their names."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.port, api, newsroom = free_port(), free_port(), free_port()
        text = (ROOT / "service/deploy/haproxy.cfg").read_text()
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
        text, count = re.subn(r"(?<=sc_conn_cur\(0\) gt )1000", str(FEW_CONNECTIONS), text)
        assert count == 1
        text = re.sub(r"(?s)resolvers docker\n.*?\n\n", "", text)
        for name, port in (("api", api), ("newsroom", newsroom)):
            pattern = rf"server-template {name} 8 api:\d+ (.*) resolvers docker init-addr none"
            text, count = re.subn(pattern, rf"server {name} 127.0.0.1:{port} \1", text)
            assert count == 1, name
        configuration = folder / "haproxy.cfg"
        configuration.write_text(text.replace("inter 2s", "inter 100ms"))
        self._run(sys.executable, "-c", STUB, "api", str(api))
        self.newsroom = self._run(sys.executable, "-c", STUB, "newsroom", str(newsroom))
        for port in (api, newsroom):
            self._await(port)
        self._run(require("haproxy", "haproxy"), "-db", "-f", str(configuration))
        self._await(self.port)

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def _await(self, port: int) -> None:
        until = time.monotonic() + 20
        while not is_open(port):
            assert time.monotonic() < until, f"nothing listens on {port}"
            time.sleep(0.05)

    def answer(self, path: str, headers: dict[str, str]) -> str:
        """Return the name of the server that answers."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(url, headers=headers, timeout=10).text


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with ExitStack() as stack:
        yield Proxy(tmp_path, stack)


def test_the_newsroom_has_its_own_processes_and_readers_have_the_others(proxy: Proxy) -> None:
    until = time.monotonic() + 10
    while proxy.answer("/desk", SESSION) != "newsroom":
        assert time.monotonic() < until, "the newsroom's server is not in use"
    for path in NEWSROOM_PATHS:
        assert {proxy.answer(path, headers) for headers in (KEY, SESSION)} == {"newsroom"}, path
        assert {proxy.answer(path, headers) for headers in (READER, {})} == {"api"}, path
    for path in ("/", "/login", "/api/me", "/health/ready"):
        assert proxy.answer(path, KEY | SESSION) == "api", path
    proxy.newsroom.kill()
    until = time.monotonic() + 10
    while proxy.answer("/desk", SESSION) != "api":
        assert time.monotonic() < until, "the site's processes do not take over"


def test_one_address_leaves_connections_to_the_others(proxy: Proxy) -> None:
    with ExitStack() as stack:
        refused = [is_refused(proxy, "127.0.0.1", stack) for _ in range(FEW_CONNECTIONS + 1)]
        assert refused[-1]
        assert not any(refused[:-2])  # one more of ours may just be ending
        assert not is_refused(proxy, "127.0.0.2", stack)


def is_refused(proxy: Proxy, address: str, stack: ExitStack) -> bool:
    """Whether the proxy ends a connection from there without an answer; keeps one that it takes."""
    at = ("127.0.0.1", proxy.port)
    try:
        connection = socket.create_connection(at, timeout=5, source_address=(address, 0))
        stack.enter_context(connection).sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(1) == b""
    except ConnectionError:
        return True
