"""Runs the migrations: `portal migrate` hands over a connection; `alembic` alone reads the settings.

SQLite gets BEGIN IMMEDIATE (a failed migration leaves nothing half applied) and no foreign-key enforcement while
tables are rebuilt (batch mode would otherwise delete child rows).
"""

from sqlalchemy import Connection, create_engine, event, text

from alembic import context
from portal.records.migrations import alembic_url
from portal.records.schema import metadata
from portal.settings import Settings


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata(),
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("url")
    engine = create_engine(alembic_url(given or Settings().database_url))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def no_implicit_begin(connection, _record):
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin_immediate(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA foreign_keys=OFF"))
            connection.commit()
        run(connection)
    engine.dispose()


main()
