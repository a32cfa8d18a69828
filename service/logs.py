"""How every process logs: one line per event to standard error, in colour on a terminal.

With the format `json` every line, those of libraries too, is one JSON object: `timestamp`, `level`,
`event`, and what the event is about (`alert`, `batch`, `provider`, `request_id`, `task`). The same
warning again and again is written a few times (`log_floods.py`).
"""

import logging
import sys
from typing import Literal

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
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    floods = LogFloods()
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(floods.filter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, note_repetitions, *_COMMON],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_COMMON, floods.thin_out, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
