"""How commands speak: lines, tables, a progress bar on a terminal, and one line when they fail."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

TENTHS = 10


class Failed(Exception):
    """The command cannot do what was asked; the message is one line for a person."""


def say(line: str) -> None:
    """Print a line at once, as it stands."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def on_terminal() -> bool:
    """Tell whether a person watches."""
    return sys.stdout.isatty()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; where nobody watches, one line a row with tabs between, for other programs."""
    if not on_terminal():
        for row in rows:
            say("\t".join(str(cell) for cell in row))
        return
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table, markup=False)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far long work is: yields a function that takes how much is done so far.

    A bar on a terminal; elsewhere a plain line at each tenth.
    """
    if not on_terminal():
        yield _lines(what, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _lines(what: str, total: int) -> Callable[[int], None]:
    told = [0]

    def tell(done: int) -> None:
        tenth = done * TENTHS // max(1, total)
        if tenth > told[0]:
            told[0] = tenth
            say(f"{what}: {done:,} of {total:,}")

    return tell
