"""Brings a database to the newest schema with Alembic, and its verdict table to the newest rules."""

from pathlib import Path

from alembic.config import Config

from alembic import command
from portal.records.database import is_sqlite_url, sqlite_path


def alembic_url(url: str) -> str:
    """SQLAlchemy's form of a database URL: the synchronous drivers, for migrations only."""
    if is_sqlite_url(url):
        return f"sqlite:///{sqlite_path(url)}"
    return url.replace("postgres://", "postgresql+psycopg://", 1).replace("postgresql://", "postgresql+psycopg://", 1)


def migrate(url: str, scripts: Path) -> None:
    """Upgrade to head, creating the database file's folder if needed. `scripts` is the alembic folder."""
    if is_sqlite_url(url):
        Path(sqlite_path(url)).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["url"] = url
    command.upgrade(config, "head")
