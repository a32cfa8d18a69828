"""A coroutine in a context of its own, without the cost of a task of its own.

granian runs the requests of a process in one context, so what one of them binds for its log lines
would stand in those of all others.
"""

import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any

import structlog

from service.tracing.spans import NO_SPAN, Span, enter


@types.coroutine
def run_in_own_context(
    coroutine: Coroutine[Any, Any, None], span: Span = NO_SPAN, **values: str
) -> Generator[Any, Any, None]:
    """Await the coroutine with `values` bound in its log lines, and in those of its threads.

    What it does belongs to the span.
    """
    context = copy_context()
    if span is not NO_SPAN:
        context.run(enter, span)
    context.run(structlog.contextvars.bind_contextvars, **values)
    resume: Callable[[Any], Any] = coroutine.send
    result: Any = None
    while True:
        try:
            waited_for = context.run(resume, result)
        except StopIteration:
            return
        try:
            result, resume = (yield waited_for), coroutine.send
        except BaseException as error:  # noqa: BLE001 - a cancellation too belongs to the coroutine
            result, resume = error, coroutine.throw
