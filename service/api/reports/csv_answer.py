"""A table as CSV (RFC 4180), as spreadsheets open it."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from fastapi import Response

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so would be calculated: an apostrophe makes it text."""
BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes UTF-8 for something else."""

Cell = str | int | float | date | datetime | None


class CsvAnswer(Response):
    """A file that a spreadsheet opens."""

    media_type = "text/csv"


def csv_answer(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> CsvAnswer:
    """Return the table as a file of this name."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_write(cell) for cell in row] for row in rows)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "private, no-store",
    }
    return CsvAnswer(BYTE_ORDER_MARK + text.getvalue(), headers=headers)


def _write(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return str(cell)
