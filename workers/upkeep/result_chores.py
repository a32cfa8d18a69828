"""The sweep's figures: what alerts did, how the providers fared, how the audience goes."""

from service.store.results import alert_results, audience_days, departures, provider_samples
from service.store.session import database_now, transaction
from workers.context import WorkerContext


def keep_results(context: WorkerContext) -> None:
    """Keep what alerts did whose day is over."""
    with transaction(context.engine) as session:
        alert_results.keep_results(session)


def write_samples(context: WorkerContext) -> None:
    """Note how the providers fared in the last minute."""
    with transaction(context.engine) as session:
        provider_samples.write_samples(session, database_now(session))


def write_audience_day(context: WorkerContext) -> None:
    """Bring today's figures of the audience up to date, and fold departures of days before."""
    with transaction(context.engine) as session:
        audience_days.write_audience_day(session)
    with transaction(context.engine) as session:
        departures.fold_departures(session)
