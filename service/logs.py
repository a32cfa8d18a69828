"""How every process logs: one line per event to standard error, in colour on a terminal.

With the format `json` every line, those of libraries too, is one JSON object: `timestamp`, `level`,
`event`, and what the event is about (`alert`, `batch`, `provider`, `request_id`, `task`). The same
warning again and again is written a few times (`log_floods.py`).
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, Literal

import structlog
from structlog.typing import Processor

from service.log_floods import LogFloods, note_repetitions

LogFormat = Literal["text", "json"]
NOISY = (
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
    "httpx",
    "httpcore",
    "hpack",
    "alembic",
)
"""Libraries that log every message or request; only their warnings are logged."""

_COMMON: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def configure_logging(level: str = "info", log_format: LogFormat = "text") -> None:
    """Send the lines of structlog and of the standard library to the same place, in one form."""
    floods = LogFloods()
    renderer, handler = _renderer(log_format), open_handler(log_format, floods)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_COMMON, floods.thin_out, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def open_handler(log_format: LogFormat, floods: LogFloods | None = None) -> logging.Handler:
    """Return what writes the standard library's lines to standard error in one of our forms."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter((floods or LogFloods()).filter)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format)]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, note_repetitions, *_COMMON],
            processors=processors,
        )
    )
    return handler


def library_logging(name: str, level: str, log_format: LogFormat) -> dict[str, Any]:
    """Return the `dictConfig` by which a library that configures logging itself writes our lines.

    It holds from the library's start until `configure_logging` replaces it, in each process.
    """
    handler = {"()": f"{__name__}.{open_handler.__name__}", "log_format": log_format}
    return {
        "formatters": {},
        "handlers": {"lines": handler},
        "loggers": {name: {"level": level.upper()}},
        "root": {"handlers": ["lines"], "level": level.upper()},
    }


def open_report(log_format: LogFormat, say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what prints the sentences of a command that runs on: `say`, or log lines.

    With the format `json` they are lines like all others, at whatever log level.
    """
    if log_format == "text":
        return say
    configure_logging("info", log_format)
    report: Callable[[str], None] = structlog.get_logger().info
    return report


def _renderer(log_format: LogFormat) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(default=str)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
