"""Charts drawn on the server as SVG, so that they need no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH = 1000.0
HEIGHT = 100.0
MAX_POINTS = 120


@dataclass(frozen=True, slots=True)
class Chart:
    """A line over time: SVG path data in a box of 1000 by 100, and the numbers of its caption."""

    line: str
    area: str
    top: int
    total: int
    minutes: int
    by_name: Mapping[str, int]


def draw_chart(series: Mapping[str, Sequence[int]], minutes: int) -> Chart:
    """Return a chart of the sum of the series, which have one value for each minute."""
    sums = [sum(values) for values in zip(*series.values(), strict=True)] or [0] * minutes
    step = -(-len(sums) // MAX_POINTS)
    points = [max(sums[n : n + step]) for n in range(0, len(sums), step)]
    top = max(points)
    line = _path(points, top or 1)
    return Chart(
        line=line,
        area=f"{line}L{WIDTH:.0f},{HEIGHT:.0f}L0,{HEIGHT:.0f}Z",
        top=top,
        total=sum(sums),
        minutes=minutes,
        by_name={name: sum(values) for name, values in sorted(series.items())},
    )


def _path(points: Sequence[int], top: int) -> str:
    spacing = WIDTH / max(len(points) - 1, 1)
    vertices = (
        f"{n * spacing:.1f},{HEIGHT - (HEIGHT - 4) * value / top:.1f}"
        for n, value in enumerate(points)
    )
    return "M" + "L".join(vertices)
