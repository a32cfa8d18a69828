"""Control's charts: accepted, not accepted and waiting by provider, over an hour, a day, a week."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.store.operations import gauges
from service.store.results.provider_samples import ProviderSample, samples_since
from service.unit_of_work import UnitOfWork
from service.web.charts import Chart, Plot, Series, draw_lines
from service.web.formatting import provider_name, span

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Period:
    """How far back the charts go, in steps of `width`; `name` is what a person calls it."""

    name: str
    steps: int
    width: timedelta

    @property
    def length(self) -> timedelta:
        """The whole period."""
        return self.steps * self.width


PERIODS = {
    "hour": Period("hour", 60, MINUTE),
    "day": Period("day", 96, 15 * MINUTE),
    "week": Period("week", 84, 120 * MINUTE),
}
MINUTES_COUNTED = 24 * 60
"""So far back acceptances are counted of the batches; beyond that the samples tell them."""


def draw_charts(work: UnitOfWork, period: Period) -> list[Chart]:
    """Return the three charts of a period that ends now."""
    end = work.now.replace(second=0, microsecond=0) + MINUTE
    begin = end - period.length
    samples = samples_since(work.session, begin, period.width)
    accepted = _series(samples, begin, period, lambda one: one.accepted)
    minutes = period.length // MINUTE
    if minutes <= MINUTES_COUNTED:
        by_minute = gauges.accepted_per_minute(work.session, end, minutes)
        accepted = [
            Series(provider_name(app), _sum_up(numbers, period.width // MINUTE))
            for app, numbers in sorted(by_minute.items())
        ]
    step = span(period.width.total_seconds())
    return [
        _chart("accepted", "Accepted", f"pushes in {step}", accepted, begin, period),
        _chart(
            "errors",
            "Failing",
            "pushes that wait for another attempt or were given up",
            _series(samples, begin, period, lambda one: one.errors),
            begin,
            period,
        ),
        _chart(
            "waiting",
            "Waiting",
            "the most pushes that waited",
            _series(samples, begin, period, lambda one: one.waiting),
            begin,
            period,
        ),
    ]


def _chart(
    key: str, title: str, unit: str, series: Sequence[Series], begin: datetime, period: Period
) -> Chart:
    shown = [one for one in series if any(one.values)]
    moments = [begin + n * period.width for n in range(period.steps)]
    ages = [period.length * share for share in (1.0, 0.75, 0.5, 0.25)]
    plot = Plot(
        key=key,
        title=title,
        unit=unit,
        x_name="From",
        labels=moments,
        series=shown,
        ticks=[*(f"{span(age.total_seconds())} ago" for age in ages), "now"],
    )
    return draw_lines(plot, area=len(shown) == 1)


def _series(
    samples: Sequence[ProviderSample],
    begin: datetime,
    period: Period,
    figure: Callable[[ProviderSample], int],
) -> list[Series]:
    by_app: dict[str, list[int]] = {}
    for sample in samples:
        numbers = by_app.setdefault(sample.app, [0] * period.steps)
        place = (sample.begin - begin) // period.width
        if 0 <= place < period.steps:
            numbers[place] = figure(sample)
    return [Series(provider_name(app), numbers) for app, numbers in sorted(by_app.items())]


def _sum_up(numbers: Sequence[int], width: int) -> list[int]:
    return [sum(numbers[n : n + width]) for n in range(0, len(numbers), width)]
