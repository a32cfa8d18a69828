"""A database that hesitates where it hurts: before an alert's row changes, and at its commit.

Nothing fails here and nothing is wrong with it; a standby far away would do the same. Windows of
a millisecond become windows of 150, so that whoever trusts to luck meets it in every run.
"""

import psycopg

HESITATES_S = 0.15

_INSTALL = f"""
CREATE FUNCTION hesitate() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep({HESITATES_S}); RETURN NULL; END';

-- Before the statement: no row is locked yet, but by those who locked it themselves.
CREATE TRIGGER hesitate_to_change BEFORE UPDATE ON alert
    FOR EACH STATEMENT EXECUTE FUNCTION hesitate();

-- At the commit of an alert that was accepted or planned: the rows are written, nobody sees them.
CREATE CONSTRAINT TRIGGER hesitate_to_accept AFTER INSERT ON alert
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hesitate();
CREATE CONSTRAINT TRIGGER hesitate_to_plan AFTER UPDATE OF started_at ON alert
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.started_at IS NULL)
    EXECUTE FUNCTION hesitate();
"""


def install(database_url: str) -> None:
    """Make the database hesitate from now on."""
    with psycopg.connect(database_url) as connection:
        connection.execute(_INSTALL)
