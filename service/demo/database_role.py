"""The role that the system works as: it owns its database, and has no other rights.

A folder of before has tables of the superuser's: they are handed over at the next start.
"""

from typing import LiteralString

import psycopg
from psycopg import sql

ROLE = "newszop"
DATABASE = "newszop"

_RIGHTS = sql.SQL(
    "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
)
_FOREIGN_TABLES = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = 'public' AND relkind IN ('r', 'p') AND relowner <> CAST(%s AS regrole)"""
_FOREIGN_FUNCTIONS = """
SELECT CAST(CAST(p.oid AS regprocedure) AS text) FROM pg_proc p
JOIN pg_namespace n ON n.oid = pronamespace
WHERE nspname = 'public' AND proowner <> CAST(%s AS regrole)"""


def ensure_database(server_url: str, password: str) -> None:
    """Make what is missing of the role and the database; `server_url` is the superuser's."""
    role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", ROLE):
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(_RIGHTS.format(role, sql.Literal(password)))
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
        for name in (DATABASE, "postgres", "template1"):
            refusal = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC")
            connection.execute(refusal.format(sql.Identifier(name)))
    with psycopg.connect(f"{server_url}/{DATABASE}") as connection:
        _hand_over(connection, "TABLE", _FOREIGN_TABLES)
        _hand_over(connection, "FUNCTION", _FOREIGN_FUNCTIONS)


def _exists(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None


def _hand_over(connection: psycopg.Connection, kind: LiteralString, query: LiteralString) -> None:
    """Give the role what it does not own; the catalogue returns names as SQL has them."""
    for (name,) in connection.execute(query, (ROLE,)).fetchall():
        change = sql.SQL("ALTER {} {} OWNER TO {}")
        quoted = sql.SQL(name)
        connection.execute(change.format(sql.SQL(kind), quoted, sql.Identifier(ROLE)))
