"""Where Prometheus reads the counters of processes that serve no site: a port of their own.

Chosen over handing the figures to the service: Prometheus sees by itself which process is away,
nothing is counted twice by replicas, and no store stands between. One request at a time, each with
a short time to come: it is for a network of our own.
"""

import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from service.metrics.process_files import collect

READ_S = 3.0
"""How long a caller may be silent."""


def serve_counters(
    address: tuple[str, int], token: str, registry: CollectorRegistry | None = None
) -> HTTPServer:
    """Answer GET /metrics in a thread until the process ends; raises OSError for a taken port.

    With a token only to those who send it as a Bearer token.
    """
    counters = registry or CollectorRegistry()

    class Handler(_CountersHandler):
        bearer = f"Bearer {token}".encode() if token else b""

        def read(self) -> bytes:
            return collect(counters)

    server = HTTPServer(address, Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _CountersHandler(BaseHTTPRequestHandler):
    timeout = READ_S
    bearer: ClassVar[bytes] = b""
    read: Callable[[], bytes]

    def do_GET(self) -> None:
        """Answer the one path there is."""
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        credentials = self.headers.get("Authorization", "").encode()
        if self.bearer and not secrets.compare_digest(credentials, self.bearer):
            self.send_error(401)
            return
        body = self.read()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing: a scrape every few seconds is no event."""
