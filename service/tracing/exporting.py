"""Spans by OpenTelemetry's SDK, exported over OTLP/HTTP by a thread of its own.

A collector that is slow or away costs spans, and nothing else: the queue is bounded, what does not
fit is dropped, and no thread of ours waits for it but for a second at the process's end.
"""

import re
import sys
import threading
from dataclasses import dataclass

if sys.modules.get("opentelemetry.sdk.metrics", sys) is None:
    del sys.modules["opentelemetry.sdk.metrics"]  # it was shut out for processes without traces

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from service.monitoring_settings import MonitoringSettings
from service.tracing.spans import Attributes

MOST_QUEUED_SPANS = 2048
SPANS_A_REQUEST = 512
EXPORT_TIMEOUT_S = 5
"""How long the collector may take, tries included; only the exporter's thread waits."""
EVERY_MS = 1000
LAST_EXPORT_S = 1.0
MOST_ATTRIBUTES = 32
LONGEST_VALUE = 200
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class OtelSpan:
    """A span of the SDK."""

    span: trace.Span

    @property
    def traceparent(self) -> str:
        """Return its place, as a W3C `traceparent`."""
        place = self.span.get_span_context()
        return f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""
        self.span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """Give it another name."""
        self.span.update_name(name)

    def fail(self, error: str) -> None:
        """Mark it as failed."""
        self.span.set_attribute("error.type", error)
        self.span.set_status(trace.StatusCode.ERROR)

    def end(self) -> None:
        """End it; what is sampled waits in the queue."""
        self.span.end()


@dataclass(frozen=True, slots=True)
class OtelTracer:
    """Makes spans by the SDK."""

    processor: BatchSpanProcessor
    tracer: trace.Tracer

    def start(self, name: str, attributes: Attributes, parent: str | None) -> OtelSpan:
        """Begin a span, in the parent's trace or in a new one."""
        return OtelSpan(self.tracer.start_span(name, parent_context(parent), attributes=attributes))

    def close(self) -> None:
        """Export what is left, for about a second at most."""
        last_export = threading.Thread(target=self.processor.shutdown, daemon=True)
        last_export.start()
        last_export.join(LAST_EXPORT_S)


def open_tracer(settings: MonitoringSettings, part: str) -> OtelTracer:
    """Return the tracer of this process; it starts the exporter's thread.

    It is not made OpenTelemetry's global one: libraries that look for that one would add spans of
    their own, with statements and keys in them.
    """
    exporter = OTLPSpanExporter(
        endpoint=f"{settings.otlp_endpoint}/v1/traces",
        headers=settings.otlp_header_values or None,
        timeout=EXPORT_TIMEOUT_S,
    )
    processor = BatchSpanProcessor(
        exporter,
        max_queue_size=MOST_QUEUED_SPANS,
        max_export_batch_size=SPANS_A_REQUEST,
        schedule_delay_millis=EVERY_MS,
        export_timeout_millis=EXPORT_TIMEOUT_S * 1000,
    )
    provider = TracerProvider(
        sampler=sampler(settings.traces_sampler, settings.traces_ratio),
        resource=Resource.create({"service.name": f"newszop-{part}"}),
        span_limits=SpanLimits(max_attributes=MOST_ATTRIBUTES, max_attribute_length=LONGEST_VALUE),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    return OtelTracer(processor, provider.get_tracer("newszop"))


def sampler(name: str, ratio: float) -> sampling.Sampler:
    """Return the sampler that OTEL_TRACES_SAMPLER names; `parentbased_` keeps a trace whole."""
    roots: dict[str, sampling.Sampler] = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(ratio),
    }
    root = roots[name.removeprefix("parentbased_")]
    return sampling.ParentBased(root) if name.startswith("parentbased_") else root


def parent_context(parent: str | None) -> Context:
    """Return what the SDK takes as a parent; an unreadable `traceparent` begins a new trace."""
    match = _TRACEPARENT.fullmatch(parent or "")
    if match is None:
        return Context()
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    place = trace.SpanContext(
        trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags)
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(place), Context())
