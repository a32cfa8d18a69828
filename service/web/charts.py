"""Charts drawn here as SVG: people would rather look than read, and no script is needed for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH = 1000.0
HEIGHT = 100.0
MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class Chart:
    """A line over time: SVG path data on a field of 1000 by 100, and its numbers in words."""

    line: str
    area: str
    top: int
    total: int
    minutes: int
    by_name: Mapping[str, int]


def chart(series: Mapping[str, Sequence[int]], minutes: int) -> Chart:
    """Return the sum of the series over time."""
    sums = [sum(values) for values in zip(*series.values(), strict=True)] or [0] * minutes
    step = -(-len(sums) // MOST_POINTS)
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
    across = WIDTH / max(len(points) - 1, 1)
    steps = (
        f"{n * across:.1f},{HEIGHT - (HEIGHT - 4) * value / top:.1f}"
        for n, value in enumerate(points)
    )
    return "M" + "L".join(steps)
