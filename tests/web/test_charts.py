"""Charts are drawn within their box, with ticks that can be read and every number in the table."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from service.web.charts import HEIGHT, WIDTH, Plot, Series, draw_bars, draw_lines

VALUES = st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=1, max_size=200)


def a_plot(*columns, **values):
    series = [Series(f"series {n}", column) for n, column in enumerate(columns)]
    labels = [str(n) for n in range(len(columns[0]))]
    names = {"key": "k", "title": "T", "unit": "pushes", "x_name": "Day"}
    return Plot(**names, labels=labels, series=series, **values)


def numbers(path):
    return [float(n) for n in re.findall(r"-?\d+\.?\d*", path)]


@given(VALUES)
def test_a_line_stays_in_its_box_and_no_number_is_missing(values):
    chart = draw_lines(a_plot(values), area=True)
    for shape in chart.shapes:
        pairs = numbers(shape.path)
        assert all(0 <= x <= WIDTH for x in pairs[::2])
        assert all(0 <= y <= HEIGHT for y in pairs[1::2])
    assert [row[1][0] for row in chart.rows] == values
    assert len(chart.x_ticks) <= 5
    assert chart.y_ticks[0].pixel > chart.y_ticks[-1].pixel


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=99))
def test_stacked_bars_stand_on_each_other_and_reach_no_higher_than_the_axis(pairs):
    low, high = zip(*pairs, strict=True)
    chart = draw_bars(a_plot(low, high))
    for shape in chart.shapes:
        for part in re.findall(r"M([\d.]+),(-?[\d.]+)h([\d.]+)v([\d.]+)", shape.path):
            x, y, width, height = map(float, part)
            assert 0 <= x <= x + width <= WIDTH + 0.1
            assert -0.02 <= y <= y + height <= HEIGHT + 0.02


def test_what_is_not_known_is_a_gap_and_what_is_nothing_is_empty():
    chart = draw_lines(a_plot([1, None, 3]))
    assert chart.shapes[0].path.count("M") == 2
    assert draw_bars(a_plot([0, 0])).is_empty
    assert draw_lines(a_plot([None, None])).is_empty


def test_a_value_without_neighbours_is_a_dot():
    def dots(values):
        return [shape.path for shape in draw_lines(a_plot(values)).shapes if shape.kind == "dots"]

    assert dots([3]) == ["M0.0,40.00L0.0,40.00"]
    assert dots([1, None, 1, 1, None]) == ["M0.0,0.00L0.0,0.00"]
    assert dots([1, 1]) == [""]


def test_a_chart_says_in_words_what_it_shows():
    plot = a_plot([3, 1500, 20], ticks=("then", "now"))
    chart = draw_lines(plot)
    assert chart.description == "pushes. series 0: at most 1,500, at the end 20."
    assert [tick.label for tick in chart.y_ticks] == ["0", "1,000", "2,000"]
    assert [tick.label for tick in chart.x_ticks] == ["then", "now"]
    assert chart.legend == []
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    plot = Plot(
        key="k", title="T", unit="u", x_name="At", labels=[moment], series=[Series("a", [1])]
    )
    assert draw_lines(plot).rows == [(moment, [1])]
