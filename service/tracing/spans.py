"""Spans, as the rest of the code opens them. Without a collector in the settings they are nothing.

A span's place in its trace is a W3C `traceparent`. It is carried on in this thread or coroutine, in
the messages to the workers (`service/outbox.py`), and in the alert's row for what the sweep begins.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import structlog

from service.monitoring_settings import MonitoringSettings

Attributes = Mapping[str, str | int | float | bool]
NOTHING: Attributes = {}


class Span(Protocol):
    """A piece of work with a beginning and an end."""

    @property
    def traceparent(self) -> str | None:
        """What its children name as their parent; None where nothing is traced."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Add attributes; never an address, a token or a person's name."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that was not known at its beginning."""
        ...

    def fail(self, error: str) -> None:
        """Mark it as failed, by the kind of the error."""
        ...

    def end(self) -> None:
        """End it now; it is exported later, by another thread."""
        ...


class Tracer(Protocol):
    """What makes spans and exports them."""

    def start(self, name: str, attributes: Attributes, parent: str | None) -> Span:
        """Begin a span, in the parent's trace or in a new one."""
        ...

    def close(self) -> None:
        """Export what is left, for about a second at most."""
        ...


@dataclass(frozen=True, slots=True)
class NoSpan:
    """The span of a process that traces nothing."""

    traceparent: None = None

    def note(self, attributes: Attributes) -> None:
        """Do nothing."""

    def rename(self, name: str) -> None:
        """Do nothing."""

    def fail(self, error: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


NO_SPAN = NoSpan()
_TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)


class OwnTracer:
    """The one tracer of this process; None while traces are off."""

    tracer: Tracer | None = None


def configure_tracing(settings: MonitoringSettings, part: str) -> None:
    """Trace in this process, a `part` such as "api", where the settings name a collector.

    The SDK is imported here and nowhere else, and its thread starts here: after a fork.
    """
    if not settings.otlp_endpoint or OwnTracer.tracer is not None:
        return
    from service.tracing.exporting import open_tracer  # noqa: PLC0415 - it costs 0.3 s of CPU

    OwnTracer.tracer = open_tracer(settings, part)


def close_tracing() -> None:
    """Export what is left, for about a second at most."""
    tracer, OwnTracer.tracer = OwnTracer.tracer, None
    if tracer is not None:
        tracer.close()


def is_tracing() -> bool:
    """Whether this process makes spans."""
    return OwnTracer.tracer is not None


def traceparent() -> str | None:
    """Return the place in its trace of the work at hand; None where nothing is traced."""
    return _TRACEPARENT.get()


def start_span(name: str, attributes: Attributes = NOTHING, parent: str | None = None) -> Span:
    """Begin a span that the caller ends, under `parent` or the work at hand."""
    if OwnTracer.tracer is None:
        return NO_SPAN
    return OwnTracer.tracer.start(name, attributes, parent or _TRACEPARENT.get())


def enter(span: Span) -> None:
    """Let what follows in this context belong to the span, and its log lines name the trace."""
    if span.traceparent is not None:
        _TRACEPARENT.set(span.traceparent)
        structlog.contextvars.bind_contextvars(**log_names(span.traceparent))


@contextmanager
def span(
    name: str,
    attributes: Attributes = NOTHING,
    parent: str | None = None,
    *,
    is_carried: bool = True,
) -> Iterator[Span]:
    """Have the block in a span. One that is not carried gives messages and spans no parent."""
    opened = start_span(name, attributes, parent)
    if opened.traceparent is None:
        yield opened
        return
    token = _TRACEPARENT.set(opened.traceparent if is_carried else None)
    try:
        with structlog.contextvars.bound_contextvars(**log_names(opened.traceparent)):
            yield opened
    except BaseException as error:
        opened.fail(type(error).__name__)
        raise
    finally:
        _TRACEPARENT.reset(token)
        opened.end()


def log_names(place: str) -> dict[str, str]:
    """Return what log lines say of a trace: its id, where it is sampled and so can be looked up."""
    _, trace_id, _, flags = place.split("-")
    return {"trace_id": trace_id} if int(flags, 16) & 1 else {}
