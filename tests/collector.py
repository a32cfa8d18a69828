"""A collector of traces: it speaks OTLP over HTTP, and can be away."""

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.demo.servers import free_port


@dataclass(frozen=True)
class ExportedSpan:
    process: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    milliseconds: float
    failed: bool


class Collector:
    """Takes what is sent to its port into `spans`, oldest first; `is_away`: it answers nobody."""

    def __init__(self) -> None:
        self.spans: list[ExportedSpan] = []
        self.is_away = False
        self.refused = 0
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.is_away:
                    collector.refused += 1
                    self.send_error(503)
                    return
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.spans += read_spans(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def trace_of(
        self, alert_id: str, has: Callable[[list[ExportedSpan]], bool]
    ) -> list[ExportedSpan]:
        """Return the spans of the traces that an alert is in, when they are as they should be."""
        until = time.monotonic() + 60
        while True:
            ids = {s.trace_id for s in self.spans if s.attributes.get("newszop.alert") == alert_id}
            trace = [s for s in self.spans if s.trace_id in ids]
            if has(trace) or time.monotonic() > until:
                return trace
            time.sleep(0.05)


def read_spans(body: bytes) -> list[ExportedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        ExportedSpan(
            process=next(
                a.value.string_value for a in part.resource.attributes if a.key == "service.name"
            ),
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes={
                a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes
            },
            milliseconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
        )
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]
