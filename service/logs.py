"""How every process logs: one line per event to standard error, in colour on a terminal."""

import logging
import sys

import structlog

NOISY = ("celery.worker.strategy", "celery.app.trace", "celery.beat", "httpx", "httpcore", "hpack")
"""Libraries that log every message or request; only their warnings are logged."""


def configure_logging(level: str = "info") -> None:
    """Send the lines of structlog and of the standard library to the same place."""
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
