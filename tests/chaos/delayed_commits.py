"""Delays every change of an alert's row and its commit, as a distant synchronous standby would.

Nothing fails, and nothing is wrong with the database. Race conditions with windows of a millisecond
get windows of 150, so that code which relies on luck fails in every run.
"""

import psycopg

DELAY_S = 0.15

_TRIGGERS = f"""
CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep({DELAY_S}); RETURN NULL; END';

-- Before the statement: it has locked no row yet; only the transaction's earlier locks are held.
CREATE TRIGGER delay_change BEFORE UPDATE ON alert
    FOR EACH STATEMENT EXECUTE FUNCTION delay();

-- At the commit of an alert that was accepted or planned: the rows are written, but invisible.
CREATE CONSTRAINT TRIGGER delay_acceptance AFTER INSERT ON alert
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION delay();
CREATE CONSTRAINT TRIGGER delay_plan AFTER UPDATE OF started_at ON alert
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.started_at IS NULL)
    EXECUTE FUNCTION delay();
"""


def install(database_url: str) -> None:
    """Delay changes and commits of alerts from now on."""
    with psycopg.connect(database_url) as connection:
        connection.execute(_TRIGGERS)
