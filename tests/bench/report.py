"""The answer to a question: figures with their references, as a table and as JSON."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MIN_SPREAD = 0.1
"""The spread that is assumed where one measurement, or several equal ones, show less."""

Better = Literal["less", "more"]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Figure:
    """One measured figure: `values` in the order of the repetitions, `beside` its reference.

    Without `values` it was not measured, and `note` says why.
    """

    what: str
    unit: str
    values: Sequence[float]
    better: Better = "less"
    beside: Sequence[float] = ()
    note: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def ratio(self) -> float | None:
        if not self.values or not self.beside:
            return None
        return statistics.median(self.values) / max(statistics.median(self.beside), 1e-12)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"median": self.median, "ratio": self.ratio}


@dataclass(frozen=True)
class Answer:
    """The answer to one question. `reference` names what the ratios compare with."""

    question: str
    title: str
    reference: str
    figures: list[Figure] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"{self.question}. {self.title}"
        yield f"   ratio to: {self.reference}"
        width = max((len(figure.what) for figure in self.figures), default=10) + 2
        yield f"   {'':{width}}{'ratio':>9}{'median':>12} {'unit':14}{'least - most':>23}"
        for figure in self.figures:
            yield f"   {figure.what:{width}}{_cells(figure)}".rstrip()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"figures": [figure.as_json() for figure in self.figures]}


def _cells(figure: Figure) -> str:
    if figure.median is None:
        return f"{'-':>9}  not measured: {figure.note}"
    ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
    spread = f"{_short(min(figure.values))} - {_short(max(figure.values))}"
    if len(figure.values) == 1:
        spread = ""
    return f"{ratio:>9}{_short(figure.median):>12} {figure.unit:14}{spread:>23}  {figure.note}"


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def slower(before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for each figure that became worse by more than the spread of the two runs.

    Figures with a reference are compared as ratios, so that a slower machine is not slower code.
    """
    figures_before = dict(_by_key(before))
    lines = []
    for key, figure in _by_key(now):
        old = figures_before.get(key)
        if old is None or figure["median"] is None or old["median"] is None:
            continue
        unit = "ratio" if figure["ratio"] is not None and old["ratio"] is not None else "median"
        change = figure[unit] / max(old[unit], 1e-12)
        if figure["better"] == "more":
            change = 1 / max(change, 1e-12)
        if change > 1 + max(_spread(old), _spread(figure), MIN_SPREAD):
            question, what, of = key
            change_text = f"{_short(old[unit])} -> {_short(figure[unit])}"
            lines.append(f"{question}: {what} ({of}): {change_text}, worse by {change - 1:.0%}")
    return lines


def _by_key(answers: Iterable[dict[str, Any]]) -> Iterator[tuple[Key, dict[str, Any]]]:
    for answer in answers:
        for figure in answer["figures"]:
            yield (answer["question"], figure["what"], figure["unit"]), figure


def _spread(figure: dict[str, Any]) -> float:
    """Return the range of the repetitions, and of their references, as a share of the median."""
    parts = [figure["values"]]
    if figure["ratio"] is not None:
        parts.append(figure["beside"])
    return max(
        (max(values) - min(values)) / max(abs(statistics.median(values)), 1e-12) for values in parts
    )
