"""The migrations lead to what the models say, on both databases, and the database itself refuses what may not be."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from portal.records.migrations import alembic_url, migrate
from portal.records.schema import metadata

ROOT = Path(__file__).parents[2]


def catalogue(url: str) -> dict[str, object]:
    """Tables, columns, keys, checks and indexes as the database itself tells them."""
    engine = sa.create_engine(alembic_url(url))
    inspector = sa.inspect(engine)
    found: dict[str, object] = {}
    for table in sorted(inspector.get_table_names()):
        if table == "alembic_version":
            continue
        found[table] = {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"]) for c in sorted(inspector.get_columns(table), key=_name)
            ],
            "primary": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (f["constrained_columns"], f["referred_table"], str(f["options"]))
                for f in inspector.get_foreign_keys(table)
            ),
            "unique": sorted((u["name"] or "", u["column_names"]) for u in inspector.get_unique_constraints(table)),
            "checks": sorted((c["name"] or "", c["sqltext"]) for c in inspector.get_check_constraints(table)),
            "indexes": sorted((i["name"], i["column_names"], i["unique"]) for i in inspector.get_indexes(table)),
        }
    engine.dispose()
    return found


def _name(column: dict[str, object]) -> str:
    return str(column["name"])


def test_migrated_sqlite_is_what_the_models_say(tmp_path: Path) -> None:
    migrate(f"sqlite://{tmp_path}/migrated.sqlite3", ROOT / "alembic")
    engine = sa.create_engine(f"sqlite:///{tmp_path}/created.sqlite3")
    metadata().create_all(engine)
    engine.dispose()
    assert catalogue(f"sqlite://{tmp_path}/migrated.sqlite3") == catalogue(f"sqlite://{tmp_path}/created.sqlite3")


def test_migrated_postgres_is_what_the_models_say(postgres_url: str, postgres: str) -> None:
    admin = sa.create_engine(alembic_url(postgres), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(sa.text("DROP DATABASE IF EXISTS created"))
        c.execute(sa.text("CREATE DATABASE created"))
    created = postgres.rsplit("/", 1)[0] + "/created"
    engine = sa.create_engine(alembic_url(created))
    metadata().create_all(engine)
    engine.dispose()
    assert catalogue(postgres_url) == catalogue(created)
    with admin.connect() as c:
        c.execute(sa.text("DROP DATABASE created"))
    admin.dispose()


def test_every_foreign_key_has_an_index() -> None:
    for table in metadata().sorted_tables:
        led = {next(iter(index.columns)).name for index in table.indexes}
        led |= {
            next(iter(unique.columns)).name for unique in table.constraints if isinstance(unique, sa.UniqueConstraint)
        }
        led |= {next(iter(table.primary_key.columns)).name}
        led |= {column.name for column in table.columns if column.unique}
        for key in table.foreign_keys:
            assert key.parent.name in led, f"{table.name}.{key.parent.name} has no index"


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/portal.sqlite3"
    migrate(url, ROOT / "alembic")
    before = (tmp_path / "portal.sqlite3").read_bytes()
    migrate(url, ROOT / "alembic")
    assert (tmp_path / "portal.sqlite3").read_bytes() == before


@pytest.mark.parametrize("column", ["contact.sealed", "patient.birth_date", "log_entry.summary"])
def test_contacts_stand_in_a_table_of_their_own(column: str) -> None:
    table, name = column.split(".")
    tables = metadata().tables
    assert name in tables[table].columns
    assert not {"email", "phone", "family_name", "address"} & {c.name for c in tables["patient"].columns}
