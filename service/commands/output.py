"""The output of commands: lines, tables, progress bars, and one line for a failure."""

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


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; without a terminal, one line per row with tabs, for other programs."""
    if not is_terminal():
        for row in rows:
            say("\t".join(str(cell) for cell in row))
        return
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table, markup=False)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of long work; yields a function that takes the part done so far.

    A bar on a terminal; elsewhere a plain line for each tenth.
    """
    if not is_terminal():
        yield _lines(label, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)


def _lines(label: str, total: int) -> Callable[[int], None]:
    last_tenth = 0

    def report(done: int) -> None:
        nonlocal last_tenth
        tenth = done * TENTHS // max(1, total)
        if tenth > last_tenth:
            last_tenth = tenth
            say(f"{label}: {done:,} of {total:,}")

    return report
