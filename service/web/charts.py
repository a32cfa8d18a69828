"""Charts drawn on the server as SVG: axes with units, a description, and the table of the numbers.

Shapes stand in a box of 1000 by 100 that is stretched to the page's width; labels are placed by
percentages beside it, so that they keep their size on a phone. No script and no style attribute.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

WIDTH, HEIGHT = 1000.0, 100.0
PLOT_TOP, PLOT_HEIGHT = 18, 160
"""Pixels: the room above the plot is the top label's, the one below it the x axis'."""
MOST_TICKS = 5
STYLES = 6
"""So many series can be told apart by colour and dashes; more share them."""
_GAP = 0.18
_EDGE = 7
"""Percent of the width: a label nearer to an end of the axis begins or ends there."""

Cell = str | int | float | None
Label = str | datetime


@dataclass(frozen=True, slots=True)
class Series:
    """A line, or a row of bars: a value for each label; None where none is known."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """A part of the plot: SVG path data, and whether it is a line, dots, an area or bars."""

    kind: str
    path: str
    style: int


@dataclass(frozen=True, slots=True)
class XTick:
    """A label below the plot, placed in percent of its width."""

    percent: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class YTick:
    """A line across the plot and its label; `line` in the plot's units, `pixel` from the top."""

    line: float
    pixel: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All that a template needs. `key` is unique in the page; rows begin with their label."""

    key: str
    title: str
    unit: str
    description: str
    shapes: Sequence[Shape]
    x_ticks: Sequence[XTick]
    y_ticks: Sequence[YTick]
    legend: Sequence[tuple[int, str]]
    columns: Sequence[str]
    rows: Sequence[tuple[Label, Sequence[Cell]]] = field(default_factory=tuple)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(shape.path for shape in self.shapes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What is to be drawn: labels of the x axis, and series of values.

    `x_name` heads the first column of the table. `ticks` are the labels below the plot where not
    each of `labels` can stand there. `rows` replaces the table of all values.
    """

    key: str
    title: str
    unit: str
    x_name: str
    labels: Sequence[Label]
    series: Sequence[Series]
    ticks: Sequence[str] = ()
    rows: Sequence[tuple[Label, Sequence[Cell]]] | None = None
    columns: Sequence[str] | None = None


def draw_lines(plot: Plot, *, area: bool = False) -> Chart:
    """Return a chart of lines; with `area` the space below the first of them is filled."""
    top = _top(plot.series)
    shapes: list[Shape] = []
    for n, series in enumerate(plot.series):
        style = n % STYLES
        path = _line(series.values, top)
        if area and n == 0 and path:
            index = max(n for n, value in enumerate(series.values) if value is not None)
            last = WIDTH * index / max(len(plot.labels) - 1, 1)
            shapes.append(Shape("area", f"{path}L{last:.1f},{HEIGHT:.0f}L0,{HEIGHT:.0f}Z", style))
        shapes.append(Shape("line", path, style))
        shapes.append(Shape("dots", _dots(series.values, top), style))
    return _chart(plot, shapes, top, between=False)


def draw_bars(plot: Plot) -> Chart:
    """Return a chart of bars, stacked where there are several series."""
    whole = [sum(s.values[n] or 0.0 for s in plot.series) for n in range(len(plot.labels))]
    top = _top([Series("", whole)])
    base = [0.0] * len(plot.labels)
    shapes: list[Shape] = []
    for n, series in enumerate(plot.series):
        values = [value or 0.0 for value in series.values]
        shapes.append(Shape("bars", _bars(base, values, top), n % STYLES))
        base = [low + value for low, value in zip(base, values, strict=True)]
    return _chart(plot, shapes, top, between=True)


def _chart(plot: Plot, shapes: Sequence[Shape], top: float, *, between: bool) -> Chart:
    rows = plot.rows
    if rows is None:
        rows = [(label, [s.values[n] for s in plot.series]) for n, label in enumerate(plot.labels)]
    names = plot.columns or [series.name for series in plot.series]
    several = len(plot.series) > 1
    return Chart(
        key=plot.key,
        title=plot.title,
        unit=plot.unit,
        description=_describe(plot),
        shapes=shapes,
        x_ticks=_x_ticks(plot, between=between),
        y_ticks=_y_ticks(top),
        legend=[(n % STYLES, one.name) for n, one in enumerate(plot.series)] if several else [],
        columns=[plot.x_name, *names],
        rows=rows,
    )


def _describe(plot: Plot) -> str:
    parts = []
    for series in plot.series:
        values = [value for value in series.values if value is not None]
        if values:
            parts.append(
                f"{series.name}: at most {write_value(max(values))}, at the end "
                f"{write_value(values[-1])}"
            )
    return f"{plot.unit}. {'; '.join(parts) or 'Nothing yet'}."


def _top(series: Sequence[Series]) -> float:
    """Return the end of the y axis: 1, 2 or 5 times a power of ten, at least 1."""
    highest = max((v for one in series for v in one.values if v is not None), default=0.0)
    if highest <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= highest)


def _y_ticks(top: float) -> list[YTick]:
    """Return the lines at nothing, a half and the top; no half where it would be a fraction."""
    half = top / 2
    values = (0.0, half, top) if half == int(half) else (0.0, top)
    return [
        YTick(
            line=HEIGHT * (1 - value / top),
            pixel=PLOT_TOP + PLOT_HEIGHT * (1 - value / top),
            label=write_value(value),
        )
        for value in values
    ]


def _x_ticks(plot: Plot, *, between: bool) -> list[XTick]:
    labels = plot.ticks or [label for label in plot.labels if isinstance(label, str)]
    step = max(1, math.ceil(len(labels) / MOST_TICKS))
    places = len(labels) if between else max(len(labels) - 1, 1)
    offset = 0.5 if between else 0.0
    ticks = []
    for n in range(0, len(labels), step):
        percent = 100 * (n + offset) / places
        anchor = "start" if percent < _EDGE else "end" if percent > 100 - _EDGE else "middle"
        ticks.append(XTick(round(percent, 2), labels[n], anchor))
    return ticks


def _dots(values: Sequence[float | None], top: float) -> str:
    """Return lines of no length where a value has no neighbour: round ends make dots of them."""
    spacing = WIDTH / max(len(values) - 1, 1)
    presence = [value is not None for value in (None, *values, None)]
    return "".join(
        f"M{n * spacing:.1f},{HEIGHT * (1 - value / top):.2f}L{n * spacing:.1f},"
        f"{HEIGHT * (1 - value / top):.2f}"
        for n, value in enumerate(values)
        if value is not None and not presence[n] and not presence[n + 2]
    )


def _line(values: Sequence[float | None], top: float) -> str:
    """Return the path of a line; what is not known is a gap in it."""
    spacing = WIDTH / max(len(values) - 1, 1)
    parts: list[str] = []
    command = "M"
    for n, value in enumerate(values):
        if value is None:
            command = "M"
            continue
        parts.append(f"{command}{n * spacing:.1f},{HEIGHT * (1 - value / top):.2f}")
        command = "L"
    return "".join(parts)


def _bars(base: Sequence[float], values: Sequence[float], top: float) -> str:
    slot = WIDTH / max(len(values), 1)
    width = slot * (1 - _GAP)
    parts = []
    for n, (low, value) in enumerate(zip(base, values, strict=True)):
        if value > 0:
            x = n * slot + (slot - width) / 2
            y, height = HEIGHT * (1 - (low + value) / top), HEIGHT * value / top
            parts.append(f"M{x:.1f},{y:.2f}h{width:.1f}v{height:.2f}h-{width:.1f}z")
    return "".join(parts)


def write_value(value: float) -> str:
    """Return a number as an axis and a table write it."""
    if value >= 10 or value == int(value):  # noqa: PLR2004 - digits that matter
        return f"{value:,.0f}"
    return f"{value:.1f}"
