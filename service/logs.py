"""How every process logs: one line an event, to standard error; colours only on a terminal."""

import logging
import sys

import structlog

NOISY = ("celery.worker.strategy", "celery.app.trace", "celery.beat", "httpx", "httpcore", "hpack")
"""Libraries that say something for every message or request; their warnings are kept."""


def configure_logging(level: str = "info") -> None:
    """Send structlog's and the standard library's lines the same way."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s [%(levelname)s] %(name)s: %(message)s",
        force=True,
    )
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
