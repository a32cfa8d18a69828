"""How alembic reaches the database: on the connection it is given, or by the settings."""

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

from service import settings
from service.store import schema
from service.store.migrate import compared
from service.store.session import open_engine


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        compare_server_default=True,
        include_object=compared,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    values = settings.load()
    engine = open_engine(values.database_url, pool_size=1, pooler=values.db_pooler)
    with engine.connect() as opened:
        run(opened)

__all__ = ["schema"]
