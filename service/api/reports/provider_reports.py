"""How the providers fared over time."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel

from service.api.reports.csv_answer import CsvAnswer, csv_answer
from service.http.api_document import Router
from service.http.auth import AdminCaller
from service.http.dependencies import Moment, ReportDep
from service.store.results.provider_samples import ProviderSample, samples_since
from service.unit_of_work import UnitOfWork

router = Router(prefix="/api/reports", tags=["reports"])


class Span(StrEnum):
    """How far back: an hour by the minute, a day by 15 minutes, a week by two hours."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


_STEPS = {Span.HOUR: (60, 1), Span.DAY: (96, 15), Span.WEEK: (84, 120)}


class SampleShown(BaseModel):
    """How an app fared from a moment on: sums of the step, and the most that waited."""

    begin: Moment
    app: str
    accepted: int
    errors: int
    waiting: int


class SamplesShown(BaseModel):
    """All steps in which an app had anything to tell, the oldest first."""

    items: list[SampleShown]


@router.get("/providers")
def list_samples(work: ReportDep, _: AdminCaller, span: Span = Span.HOUR) -> SamplesShown:
    """Report accepted, failing and waiting pushes by app over an hour, a day or a week."""
    items = [
        SampleShown.model_validate(sample, from_attributes=True) for sample in _samples(work, span)
    ]
    return SamplesShown(items=items)


@router.get("/providers.csv", response_class=CsvAnswer)
def show_samples_table(work: ReportDep, _: AdminCaller, span: Span = Span.HOUR) -> CsvAnswer:
    """Return the same as CSV."""
    rows = [
        (one.begin, one.app, one.accepted, one.errors, one.waiting) for one in _samples(work, span)
    ]
    columns = ("begin", "app", "accepted", "errors", "waiting")
    return csv_answer(f"providers-{span}", columns, rows)


def _samples(work: UnitOfWork, span: Span) -> list[ProviderSample]:
    steps, minutes = _STEPS[span]
    width = timedelta(minutes=minutes)
    begin = work.now.replace(second=0, microsecond=0) + timedelta(minutes=1) - steps * width
    return samples_since(work.session, begin, width)
