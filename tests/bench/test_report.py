"""What a comparison of two runs says."""

from tests.bench.report import Answer, Figure, slower


def a_run(*figures: Figure) -> list[dict]:
    return [Answer("b", "The whole way", "the gateway", list(figures)).as_json()]


def rate(*values: float, beside: tuple[float, ...] = ()) -> Figure:
    return Figure("10,000", "pushes/s", values, "more", beside)


def test_a_rate_that_fell_by_more_than_the_spread_is_slower():
    (line,) = slower(a_run(rate(990, 1000, 1010)), a_run(rate(690, 700, 710)))
    assert line.startswith("b: 10,000 (pushes/s): 1,000 -> 700.0, worse by 43%")


def test_a_rate_that_fell_within_the_spread_is_not():
    assert slower(a_run(rate(600, 1000, 1100)), a_run(rate(690, 700, 710))) == []


def test_a_rate_that_rose_is_not():
    assert slower(a_run(rate(700)), a_run(rate(1000))) == []


def test_a_cost_that_rose_is_slower():
    cost = [Figure("flush", "CPU s/million", [value]) for value in (4.0, 6.0)]
    assert len(slower(a_run(cost[0]), a_run(cost[1]))) == 1
    assert slower(a_run(cost[1]), a_run(cost[0])) == []


def test_a_slower_machine_is_no_slower_code():
    quick = rate(1000, beside=(1200,))
    assert slower(a_run(quick), a_run(rate(500, beside=(600,)))) == []
    assert slower(a_run(quick), a_run(rate(500, beside=(1200,))))


def test_what_was_not_measured_is_compared_with_nothing():
    missing = Figure("10,000", "pushes/s", [], "more", note="no go")
    assert slower(a_run(missing), a_run(rate(1))) == []
    assert slower(a_run(rate(1)), a_run(missing)) == []


def test_a_table_puts_the_ratio_first_and_says_why_something_is_missing():
    answer = Answer(
        "a",
        "The gateway",
        "libcurl",
        [rate(500, beside=(1000,)), Figure("Go", "x", [], note="no go")],
    )
    lines = list(answer.lines())
    assert lines[3].split()[:3] == ["10,000", "0.50", "500.0"]
    assert lines[4].split(maxsplit=2) == ["Go", "-", "not measured: no go"]
