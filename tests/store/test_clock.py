import time
from datetime import UTC, datetime
from types import SimpleNamespace

from sqlalchemy import text

from service.unit_of_work import unit_of_work


def test_a_request_is_dated_by_the_database(engine):
    """A machine whose clock jumped must not write alerts that seem to come from the future."""
    before = datetime.now(UTC)
    with unit_of_work(engine, SimpleNamespace(send=lambda _: None)) as work:
        time.sleep(0.01)
        assert work.now == work.session.execute(text("SELECT now()")).scalar_one()
    assert abs((work.now - before).total_seconds()) < 60
