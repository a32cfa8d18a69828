#!/bin/sh
# PostgreSQL's image runs this once, on an empty volume. The system's role owns its database and has
# no other rights; the superuser has no password, so nobody is one over the network.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat "$POSTGRES_PASSWORD_FILE"`
CREATE ROLE newszop LOGIN PASSWORD :'password';
CREATE DATABASE newszop OWNER newszop;
REVOKE ALL ON DATABASE newszop, postgres, template1 FROM PUBLIC;
ALTER ROLE CURRENT_USER PASSWORD NULL;
SQL
